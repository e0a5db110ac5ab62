//! What is finished and what is not, for one partition: the watermark, the cut, the unfinished offsets, the
//! dispatch bound and its marks. It decides what the next publish may tell Kafka. It reads no clock and writes
//! nothing itself.
//!
//! Three numbers say what Kafka was told. Below the *watermark* everything is finished. Between watermark and *cut*
//! everything is finished but the listed offsets. At and above the cut nothing is finished yet, as far as Kafka was
//! told. The *dispatch bound* stands apart: at and above it no request was ever sent.

use super::id::Offset;
use super::lead::{Lead, Leads};
use super::window::Offsets;

/// The most marks that are kept.
pub const MARKS_MAX: usize = 8;

/// Offsets from `from` up to the next mark were first attempted no earlier than `minute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub from: Offset,
    /// Minutes since 1970 on the owner's wall clock.
    pub minute: u32,
}

/// What the committed offset and its metadata say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub watermark: Offset,
    /// Never below the watermark.
    pub cut: Offset,
    /// Ascending, from the watermark up to below the cut.
    pub unfinished: Vec<Offset>,
    pub bound: Offset,
    /// Ascending, at most [`MARKS_MAX`].
    pub marks: Vec<Mark>,
    /// Below it, and not below the watermark, are records of which nobody knows whether they were attempted before
    /// the group's offsets were reset: no bound and no mark tells, only what Redis holds.
    pub forgotten: Offset,
}

impl Told {
    /// A partition of which nothing was ever told, read from `start`.
    #[must_use]
    pub fn nothing(start: Offset) -> Self {
        Self {
            watermark: start,
            cut: start,
            unfinished: Vec::new(),
            bound: start,
            marks: Vec::new(),
            forgotten: start,
        }
    }

    /// A partition that had owners, of whom nothing is known any more, read from `start`. What is on the topic by now
    /// may have been attempted at any time.
    #[must_use]
    pub fn forgotten(start: Offset) -> Self {
        Self { forgotten: Offset(i64::MAX), ..Self::nothing(start) }
    }

    /// Whether Kafka knows a fate for this offset.
    #[must_use]
    pub fn is_finished(&self, offset: Offset) -> bool {
        offset < self.watermark
            || (offset < self.cut && self.unfinished.binary_search(&offset).is_err())
    }
}

/// What the next publish may say, and which of the ready offsets it reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub told: Told,
    pub reported: Vec<Offset>,
    pub lead: Lead,
}

/// What bounds a plan.
#[derive(Debug, Clone, Copy)]
pub struct PlanLimits {
    /// How far the bound is raised above the first offset that was not attempted yet. `None` once no request can
    /// leave any more: it is lowered to where nobody can have attempted anything.
    pub leads: Option<Leads>,
    /// The wall clock's minute.
    pub minute: u32,
}

/// The offsets of one owned partition.
#[derive(Debug, Clone)]
pub struct Tracker {
    /// What Kafka holds now.
    told: Told,
    /// The next offset to be read; control records that were passed count.
    position: Offset,
    /// Up to here, what was told to be unfinished was looked for.
    looked_to: Offset,
    /// Everything without a fate on Kafka: what was told to be unfinished, and what was read since.
    unfinished: Offsets,
    /// The bound and marks as the owner before us left them.
    inherited_bound: Offset,
    inherited_marks: Vec<Mark>,
    /// Where the topic ended when we took over, and in which minute.
    end: Option<Mark>,
    /// One above the highest offset that we have attempted ourselves.
    own_attempts_end: Offset,
    /// One above the highest offset that may have been attempted by anyone.
    attempted_end: Offset,
    lead: Lead,
}

impl Tracker {
    /// Takes over a partition; reading starts at the watermark.
    #[must_use]
    pub fn inherit(told: Told) -> Self {
        Self {
            position: told.watermark,
            looked_to: told.watermark,
            unfinished: told.unfinished.iter().copied().collect(),
            inherited_bound: told.bound,
            inherited_marks: told.marks.clone(),
            end: None,
            own_attempts_end: told.watermark,
            attempted_end: told.bound,
            lead: Lead::at(told.bound),
            told,
        }
    }

    #[must_use]
    pub fn told(&self) -> &Told {
        &self.told
    }

    #[must_use]
    pub fn position(&self) -> Offset {
        self.position
    }

    #[must_use]
    pub fn unfinished_len(&self) -> usize {
        self.unfinished.len()
    }

    /// The lowest offset without a fate; where there is none, the end of what was read.
    #[must_use]
    pub fn watermark(&self) -> Offset {
        self.unfinished.first().unwrap_or_else(|| self.horizon())
    }

    /// Everything below was read by us or by an owner before us.
    fn horizon(&self) -> Offset {
        self.position.max(self.told.cut)
    }

    /// Notes a record that was read. `true` where it has no fate yet and is to be worked on.
    pub fn read(&mut self, offset: Offset) -> bool {
        if offset < self.position {
            return false;
        }
        self.position = offset.next();
        if offset < self.told.cut {
            return self.unfinished.contains(offset);
        }
        self.unfinished.insert(offset)
    }

    /// Notes that the reader stands at `position`: what lies below and was not delivered is no record.
    pub fn read_to(&mut self, position: Offset) {
        self.position = self.position.max(position);
    }

    /// Notes where and when the topic ended: what lies above was published later, so nobody can have attempted it
    /// before.
    pub fn ended_at(&mut self, end: Mark) {
        self.end = Some(end);
        self.told.forgotten = self.told.forgotten.min(end.from);
    }

    /// Whether an owner before us may have attempted it without a bound that still says so.
    #[must_use]
    pub fn is_forgotten(&self, offset: Offset) -> bool {
        offset < self.told.forgotten
    }

    /// Notes that at a time when no owner before us could send any more the topic ended at `end`: what lies above
    /// has nobody attempted but us.
    pub fn stand_alone(&mut self, end: Offset) {
        self.inherited_bound = self.inherited_bound.min(end);
        self.attempted_end = self.attempted_end.min(end.max(self.own_attempts_end));
    }

    /// Whether it was published after we had asked where the topic ends.
    #[must_use]
    pub fn is_young(&self, offset: Offset) -> bool {
        self.end.is_some_and(|end| end.from <= offset)
    }

    /// An offset that was told to be unfinished, lies below what was read, and was not among `held`: it is no
    /// longer on the topic. Looks only at what was passed since it was last asked.
    pub fn vanished(&mut self, held: impl Fn(Offset) -> bool) -> Option<Offset> {
        let from = std::mem::replace(&mut self.looked_to, self.position);
        let told = &self.told.unfinished;
        let passed = &told[told.partition_point(|o| *o < from)..];
        let passed = passed.iter().copied().take_while(|o| *o < self.position);
        passed.into_iter().find(|o| self.unfinished.contains(*o) && !held(*o))
    }

    /// Whether nobody can have attempted this offset before us.
    #[must_use]
    pub fn is_above_inherited_bound(&self, offset: Offset) -> bool {
        offset >= self.inherited_bound
    }

    /// The earliest minute at which an owner before us can have attempted this offset; `None` at and above the
    /// inherited bound. Without a mark that covers it, or an end below it: the year 1970.
    #[must_use]
    pub fn inherited_minute(&self, offset: Offset) -> Option<u32> {
        if offset >= self.inherited_bound {
            return None;
        }
        let mark = self.inherited_marks.iter().rev().find(|mark| mark.from <= offset);
        let end = self.end.filter(|end| end.from <= offset);
        Some(mark.map_or(0, |mark| mark.minute).max(end.map_or(0, |end| end.minute)))
    }

    /// Whether Kafka has acknowledged a bound above this offset: only then may a request leave.
    #[must_use]
    pub fn is_below_bound(&self, offset: Offset) -> bool {
        offset < self.told.bound
    }

    /// Notes that a request for this offset is about to leave.
    pub fn attempt(&mut self, offset: Offset) {
        debug_assert!(self.is_below_bound(offset), "a request at or above the dispatch bound");
        self.own_attempts_end = self.own_attempts_end.max(offset.next());
        self.attempted_end = self.attempted_end.max(offset.next());
    }

    /// The first unfinished offset that nobody can have attempted; else the next one to be read.
    #[must_use]
    pub fn frontier(&self) -> Offset {
        self.unfinished.from(self.attempted_end).next().unwrap_or(self.position)
    }

    /// Whether an owner before us may have attempted something that has no fate yet.
    #[must_use]
    pub fn has_inherited(&self) -> bool {
        self.watermark() < self.inherited_bound
    }

    /// What to tell Kafka next. `ready`: offsets whose fate is safe and may be reported, ascending. `fit` says how
    /// many of an ascending list of unfinished offsets the metadata can hold above a watermark.
    pub fn plan(
        &self,
        ready: &[Offset],
        frontier: Offset,
        limits: PlanLimits,
        fit: impl Fn(Offset, &[Offset]) -> usize,
    ) -> Plan {
        let mut reportable = ready.iter().copied().peekable();
        let is_left = |offset: &Offset| {
            while reportable.next_if(|ready| ready < offset).is_some() {}
            reportable.next_if_eq(offset).is_none()
        };
        let left: Vec<Offset> = self.unfinished.iter().filter(is_left).collect();
        let first = left.first().copied().unwrap_or_else(|| self.horizon());
        let fitting = fit(first, &left);
        // What fitted once fits for ever, so the cut never falls; the horizon may stand beyond the list.
        let cut = left.get(fitting).copied().unwrap_or_else(|| self.horizon()).max(self.told.cut);
        let reported: Vec<Offset> = ready.iter().copied().filter(|o| *o < cut).collect();
        // A ready offset at or above the cut stays unfinished as far as Kafka is told, and so does the watermark.
        let held_back = ready.iter().copied().find(|o| *o >= cut);
        let watermark = held_back.map_or(first, |o| o.min(first));
        let frontier = frontier.max(self.attempted_end);
        let lead = limits.leads.map_or(self.lead, |leads| self.lead.next(frontier, leads));
        let raised = |_| lead.raise(self.told.bound);
        let bound = limits.leads.map_or(self.attempted_end, raised);
        let marks = self.marks(watermark, limits.minute);
        let unfinished = left.into_iter().take_while(|o| *o < cut).collect();
        let forgotten = self.told.forgotten.max(watermark);
        Plan { told: Told { watermark, cut, unfinished, bound, marks, forgotten }, reported, lead }
    }

    /// Everything from `attempted_end` on is first attempted from this minute on, and everything above the end of the
    /// topic from the minute on in which it ended there.
    fn marks(&self, watermark: Offset, minute: u32) -> Vec<Mark> {
        let mut marks = self.told.marks.clone();
        marks.retain(|mark| mark.from < self.attempted_end);
        self.mark_end(&mut marks);
        if marks.last().is_none_or(|last| last.minute != minute) {
            marks.push(Mark { from: self.attempted_end, minute });
        }
        // Of the marks that lie at or below the watermark only the last says anything.
        let useless = marks.iter().filter(|mark| mark.from <= watermark).count().saturating_sub(1);
        marks.drain(..useless);
        while marks.len() > MARKS_MAX {
            merge_closest(&mut marks);
        }
        marks
    }

    /// Takes the mark of the topic's end in, where it says more than those that are there.
    fn mark_end(&self, marks: &mut Vec<Mark>) {
        let Some(end) = self.end.filter(|end| end.from < self.attempted_end) else { return };
        let says_more = |mark: &Mark| mark.from <= end.from && mark.minute >= end.minute;
        if !marks.iter().any(says_more) {
            marks.retain(|mark| mark.from < end.from);
            marks.push(end);
        }
    }

    /// Takes note that Kafka was told.
    pub fn tell(&mut self, plan: &Plan) {
        for offset in &plan.reported {
            self.unfinished.remove(*offset);
        }
        self.told = plan.told.clone();
        self.lead = plan.lead;
    }

    /// Takes note of what Kafka holds after an unclear commit. Returns the offsets that turn out to be finished.
    pub fn learn(&mut self, told: Told) -> Vec<Offset> {
        let finished: Vec<Offset> =
            self.unfinished.iter().filter(|o| told.is_finished(*o)).collect();
        for offset in &finished {
            self.unfinished.remove(*offset);
        }
        let forgotten = self.told.forgotten.max(told.forgotten);
        self.told = Told { forgotten, ..told };
        finished
    }
}

/// Drops the mark that lies closest in time to the one before it: its offsets then count as attempted earlier than
/// they were, which errs to the safe side.
fn merge_closest(marks: &mut Vec<Mark>) {
    let closest = marks
        .windows(2)
        .enumerate()
        .min_by_key(|(_, pair)| pair[1].minute.saturating_sub(pair[0].minute))
        .map(|(i, _)| i + 1);
    if let Some(at) = closest {
        let dropped = marks.remove(at);
        // A clock that was set back makes the later mark the earlier time.
        marks[at - 1].minute = marks[at - 1].minute.min(dropped.minute);
    }
}

#[cfg(test)]
#[path = "offsets_tests.rs"]
mod tests;
