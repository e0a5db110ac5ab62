//! Planting: what each bug changes on the way from the pipeline to its world and back. Which bugs there are is in
//! `plants`; those that change what a room does are where that room is simulated.

use std::time::Duration;

use tollbridge::domain::answer::Answer;
use tollbridge::domain::id::{Epoch, Offset, Partition, RecipeHash};
use tollbridge::domain::offsets::Mark;
use tollbridge::domain::outcome::{Fate, NOT_CHARGED};
use tollbridge::domain::retry::Lookup;
use tollbridge::domain::retry::minute_of;
use tollbridge::domain::time::Wall;
use tollbridge::pipeline::{Begin, Call, Order, Reply, Settings};
use tollbridge::ports::gateway::Response;
use tollbridge::ports::publisher::{CommitPoint, Committing};
use tollbridge::ports::queue::{Admission, Moved, QueueError};
use tollbridge::ports::source::Committed;
use tollbridge::ports::store::{Batch, StoreError, Stored};
use tollbridge::wire::gateway::RECIPE;
use tollbridge::wire::metadata::Metadata;
use tollbridge::wire::queue_entry::QueueEntry;

use crate::kafka::topic_of;
use crate::plan::STORE;
use crate::plants::Plant;
use crate::process::Life;
use crate::world::World;

impl Plant {
    pub fn settings(self, settings: &mut Settings) {
        match self {
            Self::KeysLiveShorter => settings.key_life.ttl *= 4,
            Self::NothingShownIsBelieved if settings.lookup.is_there() => {
                settings.lookup = Lookup::Settles(Duration::ZERO);
            }
            Self::BeginsAtTheEnd => settings.begin = Begin::Latest,
            Self::OrderForgotten => settings.order = Order::None,
            Self::ExpiresEarly => settings.max_age = settings.max_age.map(|age| age / 2),
            Self::LossSkipped => settings.accept_offset_reset = true,
            Self::TwiceAtOnce => settings.tuned.gate.in_flight_max *= 2,
            Self::RateNotShared => {
                let gate = &mut settings.tuned.gate;
                gate.rate_limit = gate.rate_limit.map(|limit| limit * 2);
            }
            Self::NeverAway => settings.tuned.gate.failures_max = u32::MAX,
            Self::ProofNeverOld => settings.proof_age_max = Duration::from_secs(1_000_000),
            _ => {}
        }
    }

    /// On its way out. `number` is the effect's, `recipe` the version of the bodies.
    pub fn call(self, call: &mut Call, number: u64, recipe: u32) {
        match (self, call) {
            (Self::OffsetsWithoutEvents, Call::Commit { messages, .. })
                if number.is_multiple_of(4) =>
            {
                messages.clear();
            }
            (Self::EventsWithoutOffsets, Call::Commit { points, .. })
                if number.is_multiple_of(4) =>
            {
                points.clear();
            }
            (Self::BodyChanges, Call::Charge(charge)) => {
                let mut body = charge.body.to_vec();
                body.extend(std::iter::repeat_n(b' ', usize::try_from(number % 5).unwrap_or(0)));
                charge.body = body.into();
            }
            (_, Call::Commit { points, .. }) => {
                for point in points {
                    self.point(point, recipe);
                }
            }
            _ => {}
        }
    }

    fn point(self, point: &mut CommitPoint, recipe: u32) {
        let Ok(mut metadata) = Metadata::decode(point.watermark, &point.metadata) else { return };
        match self {
            Self::UnfinishedForgotten => metadata.unfinished.clear(),
            Self::WatermarkIsLast => {
                metadata.unfinished.clear();
                point.watermark = metadata.cut;
            }
            Self::ReportedLeftOut if metadata.unfinished.len() > 1 => {
                let half = metadata.unfinished.len() / 2;
                metadata.cut = metadata.unfinished[half];
                metadata.unfinished.truncate(half);
            }
            Self::BoundForgotten => metadata.bound = point.watermark,
            Self::MarksYounger => metadata.marks.iter_mut().for_each(younger),
            Self::RecipeForgotten => metadata.recipe = RecipeHash(RECIPE.0 + recipe),
            _ => return,
        }
        point.metadata = metadata.encode(point.watermark);
    }

    /// On its way back. `wall` is the process's clock.
    pub fn reply(self, reply: &mut Reply, wall: Wall, admitting: usize) {
        match (self, reply) {
            (Self::UnclearIsClean, Reply::Committing(committing)) => {
                *committing = Committing::Clean;
            }
            (Self::StoreNotAsked, Reply::Asked(Ok(rows))) => rows.clear(),
            (Self::ResolutionIgnored, Reply::Asked(Ok(rows))) => {
                let free = rows.iter_mut().filter(|row| row.is_resolved_not_charged());
                free.for_each(|row| row.code = None);
            }
            (Self::DoubtIsNotCharged, Reply::Asked(Ok(rows))) => {
                let doubts = rows.iter_mut().filter(|row| row.fate == Fate::InDoubt);
                doubts.for_each(|row| row.code = Some(NOT_CHARGED.to_owned()));
            }
            (Self::RepeatedDeclineBelieved, Reply::Answer(Answer::Response(response))) => {
                response.replayed = true;
            }
            (Self::PauseNotKept, Reply::Answer(Answer::Response(response))) => {
                response.retry_after = None;
            }
            (Self::LostIsNotSent, Reply::Answer(answer)) => {
                if let Answer::Lost(why) = answer {
                    *answer = Answer::NotSent(std::mem::take(why));
                }
            }
            (Self::StoredTooEarly, Reply::Stored(result)) if result.is_err() => {
                *result = Ok(vec![Stored::New; 64]);
            }
            (Self::ConflictIgnored, Reply::Stored(Ok(stored))) => stored.fill(Stored::New),
            (Self::AdmissionNotAwaited, Reply::Admitted(result)) if result.is_err() => {
                *result = Ok(vec![Admission::New; admitting]);
            }
            (Self::AdmittedJustNow, Reply::Admitted(Ok(found))) => {
                found.iter_mut().for_each(|found| admitted(found, wall));
            }
            (Self::LossUnnoticed, Reply::Missing(Ok(missing))) => missing.clear(),
            (Self::LossUnnoticed, Reply::Moved(Ok(moved))) => moved.fill(Moved::Done),
            (_, Reply::Committed(Ok(all))) => {
                for (watermark, text) in all.iter_mut().filter_map(|c| c.point.as_mut()) {
                    self.committed(*watermark, text, wall);
                }
            }
            (Self::ErrorIsMoved, Reply::Moved(result)) if is_permanent(result) => {
                *result = Ok(vec![Moved::Done; 64]);
            }
            _ => {}
        }
    }

    /// What is made of a committed offset.
    fn committed(self, watermark: Offset, text: &mut String, wall: Wall) {
        let read = Metadata::decode(watermark, text);
        let mut metadata = match (self, read) {
            (Self::MetadataWorkedAround, Err(_)) => Metadata {
                cut: watermark,
                unfinished: Vec::new(),
                bound: watermark,
                marks: Vec::new(),
                epoch: Epoch(0),
                store: STORE,
                recipe: RECIPE,
                topic: None,
                forgotten: watermark,
            },
            (_, Err(_)) => return,
            (_, Ok(metadata)) => metadata,
        };
        let minute = minute_of(wall);
        match self {
            Self::FutureMarkBelieved => {
                metadata.marks.iter_mut().for_each(|mark| mark.minute = mark.minute.min(minute));
            }
            Self::OtherStoreAccepted => metadata.store = STORE,
            Self::EpochNotRaised => metadata.epoch.0 = metadata.epoch.0.saturating_sub(1),
            Self::MetadataWorkedAround => {}
            _ => return,
        }
        *text = metadata.encode(watermark);
    }

    /// What the gateway's client makes of an answer.
    pub fn answer(self, response: Response, declined: impl FnOnce() -> Response) -> Response {
        let is_decline = self == Self::StatusIsDecline && response.status >= 400;
        if is_decline { declined() } else { response }
    }

    /// What the store does with a batch.
    pub fn store(
        self,
        batch: &Batch,
        store: impl FnOnce(&Batch) -> Result<Vec<Stored>, StoreError>,
    ) -> Result<Vec<Stored>, StoreError> {
        if self != Self::DeclinesNotStored {
            return store(batch);
        }
        let is_kept: Vec<bool> = batch.rows.iter().map(|r| r.fate != Fate::Declined).collect();
        let kept = batch.rows.iter().zip(&is_kept).filter(|(_, kept)| **kept);
        let rows = kept.map(|(row, _)| row.clone()).collect();
        let mut stored = store(&Batch { token: batch.token.clone(), rows })?.into_iter();
        let each = is_kept.iter().map(|kept| kept.then(|| stored.next()).flatten());
        Ok(each.map(|stored| stored.unwrap_or(Stored::New)).collect())
    }
}

impl World {
    /// A planted bug: after an unclear commit a process goes on with what it said last.
    pub fn believes(&self, life: Life, partitions: &[Partition]) -> bool {
        self.plan.plant == Some(Plant::NotReadAgain)
            && self
                .running(life)
                .is_some_and(|up| partitions.iter().all(|p| up.said.contains_key(p)))
    }

    pub fn believed(&self, life: Life, partitions: &[Partition]) -> Option<Reply> {
        let up = self.running(life)?;
        let committed = |partition: &Partition| {
            let said = up.said.get(partition);
            Committed {
                partition: *partition,
                point: said.map(|said| (said.watermark, said.metadata.clone())),
                low: Offset(self.brokers.logs.get(partition).map_or(0, |log| log.low)),
                high: Offset(self.brokers.logs.get(partition).map_or(0, |log| log.end)),
                topic: topic_of(*partition),
            }
        };
        Some(Reply::Committed(Ok(partitions.iter().map(committed).collect())))
    }
}

fn younger(mark: &mut Mark) {
    mark.minute += 3;
}

fn admitted(found: &mut Admission, at: Wall) {
    if let Admission::InTemp(body) = found
        && let Ok(entry) = QueueEntry::decode(body)
    {
        *body = QueueEntry { admitted_at: at, ..entry }.encode();
    }
}

fn is_permanent(result: &Result<Vec<Moved>, QueueError>) -> bool {
    matches!(result, Err(QueueError::Permanent(_)))
}
