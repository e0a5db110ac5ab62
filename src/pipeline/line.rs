//! Lines: with `charge.order = "key"` the transactions of one record key are charged one after another, in the order of
//! their offsets, within their partition. One is let through at a time, until nothing else can come of it: an approval
//! is known, a decline or a doubt is stored, a rejection told. What waits for another place of its id stands in no line
//! meanwhile: two lines could wait for each other.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::engine::Engine;
use super::entry::Step;
use super::message::Slot;
use super::settings::Order;
use crate::domain::id::Offset;

/// The undecided transactions of one key.
#[derive(Debug, Default)]
pub struct Line {
    offsets: BTreeSet<Offset>,
    /// Who was let through and has no outcome yet.
    through: Option<Offset>,
}

impl Line {
    /// Whether it may be asked for now; it is let through then.
    fn lets_through(&mut self, offset: Offset) -> bool {
        let is_next = self.through.is_none() && self.offsets.first() == Some(&offset);
        if is_next {
            self.through = Some(offset);
        }
        self.through == Some(offset)
    }

    /// Nothing else can come of it; returns who is first now, if nobody else was let through.
    fn leave(&mut self, offset: Offset) -> Option<Offset> {
        self.offsets.remove(&offset);
        self.through.take_if(|through| *through == offset);
        self.through.is_none().then(|| self.offsets.first().copied()).flatten()
    }
}

impl Engine {
    /// Its place among those of its key.
    pub(super) fn join_line(&mut self, slot: Slot) {
        if self.set.order == Order::None {
            return;
        }
        let Some(p) = self.partition(slot) else { return };
        let Some(key) = p.entries.get(&slot.offset).and_then(|e| e.record.key.clone()) else {
            return;
        };
        p.lines.entry(key).or_default().offsets.insert(slot.offset);
    }

    /// Whether it may be asked for now. One that may not waits for those before it.
    pub(super) fn is_its_turn_in_line(&mut self, slot: Slot) -> bool {
        if self.set.order == Order::None {
            return true;
        }
        let Some((_, line)) = self.line_of(slot) else { return true };
        let may_go = line.lets_through(slot.offset);
        if !may_go {
            self.step(slot, Step::InLine);
        }
        may_go
    }

    /// It has its outcome, or needs none: the next of its key may go on.
    pub(super) fn leave_line(&mut self, slot: Slot) {
        if self.set.order == Order::None {
            return;
        }
        let Some((key, line)) = self.line_of(slot) else { return };
        let next = line.leave(slot.offset);
        let is_empty = line.offsets.is_empty();
        if is_empty && let Some(p) = self.partition(slot) {
            p.lines.remove(&key);
        }
        let Some(next) = next.map(|offset| Slot { offset, ..slot }) else { return };
        if self.entry(next).is_some_and(|entry| entry.step == Step::InLine) {
            self.go_on_to_charge(next);
        }
    }

    fn line_of(&mut self, slot: Slot) -> Option<(Bytes, &mut Line)> {
        let p = self.partition(slot)?;
        let key = p.entries.get(&slot.offset)?.record.key.clone()?;
        let line = p.lines.get_mut(&key)?;
        Some((key, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_in_the_order_of_their_offsets() {
        let mut line = Line { offsets: [3, 5, 8].map(Offset).into(), through: None };
        assert!(!line.lets_through(Offset(5)));
        assert!(line.lets_through(Offset(3)));
        assert!(line.lets_through(Offset(3)), "again");
        assert!(!line.lets_through(Offset(5)));
        assert_eq!(line.leave(Offset(3)), Some(Offset(5)));
        // A duplicate leaves from the middle, and nobody is called twice.
        assert!(line.lets_through(Offset(5)));
        assert_eq!(line.leave(Offset(8)), None);
        assert_eq!(line.leave(Offset(5)), None);
    }

    #[test]
    fn one_that_comes_back_before_who_is_through_waits_for_it() {
        let mut line = Line { offsets: [3, 5].map(Offset).into(), through: None };
        assert!(line.lets_through(Offset(3)));
        line.offsets.insert(Offset(1));
        assert!(!line.lets_through(Offset(1)));
        assert_eq!(line.leave(Offset(3)), Some(Offset(1)));
    }
}
