//! Planted bugs: what the pipeline, an adapter or an operator could get wrong, done on purpose between the pipeline
//! and the world. A suite that does not find each of them is not finished.

use tollbridge::domain::answer::Answer;
use tollbridge::domain::id::Offset;
use tollbridge::domain::offsets::Mark;
use tollbridge::pipeline::{Begin, Call, Reply, Settings};
use tollbridge::ports::publisher::{CommitPoint, Committing};
use tollbridge::ports::store::Stored;
use tollbridge::wire::metadata::Metadata;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Offsets are committed, their events are not written.
    OffsetsWithoutEvents,
    /// Events are written in a transaction that commits no offsets.
    EventsWithoutOffsets,
    /// What is below the cut and unfinished is left out.
    UnfinishedForgotten,
    /// The dispatch bound is not raised over what is asked for.
    BoundForgotten,
    /// Marks say that first attempts are younger than they are.
    MarksYounger,
    /// A commit without a clear answer is taken for done.
    UnclearIsClean,
    /// After an unclear commit the same producer goes on.
    NoNewProducer,
    /// A revocation is answered without anyone being told: commits go on, as who we are by then.
    RevocationIgnored,
    /// The store says that a batch is in before it is.
    StoredTooEarly,
    /// The store is not asked before a first attempt.
    StoreNotAsked,
    /// A decline of a repeat counts like one of the first attempt.
    RepeatedDeclineBelieved,
    /// Every attempt has a key of its own.
    KeyPerAttempt,
    /// The body changes from attempt to attempt.
    BodyChanges,
    /// The configuration says that keys live longer than they do.
    KeysLiveShorter,
    /// A group without offsets begins at the end.
    BeginsAtTheEnd,
}

pub const ALL: [Plant; 15] = [
    Plant::OffsetsWithoutEvents,
    Plant::EventsWithoutOffsets,
    Plant::UnfinishedForgotten,
    Plant::BoundForgotten,
    Plant::MarksYounger,
    Plant::UnclearIsClean,
    Plant::NoNewProducer,
    Plant::RevocationIgnored,
    Plant::StoredTooEarly,
    Plant::StoreNotAsked,
    Plant::RepeatedDeclineBelieved,
    Plant::KeyPerAttempt,
    Plant::BodyChanges,
    Plant::KeysLiveShorter,
    Plant::BeginsAtTheEnd,
];

impl Plant {
    pub fn settings(self, settings: &mut Settings) {
        match self {
            Self::KeysLiveShorter => settings.key_life.ttl *= 4,
            Self::BeginsAtTheEnd => settings.begin = Begin::Latest,
            _ => {}
        }
    }

    /// On its way out.
    pub fn call(self, call: &mut Call, number: u64) {
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
            (Self::UnfinishedForgotten, Call::Commit { points, .. }) => {
                alter(points, |metadata, _| metadata.unfinished.clear());
            }
            (Self::BoundForgotten, Call::Commit { points, .. }) => {
                alter(points, |metadata, watermark| metadata.bound = watermark);
            }
            (Self::MarksYounger, Call::Commit { points, .. }) => {
                alter(points, |metadata, _| metadata.marks.iter_mut().for_each(younger));
            }
            (Self::BodyChanges, Call::Charge(charge)) => {
                let mut body = charge.body.to_vec();
                body.extend(std::iter::repeat_n(b' ', usize::try_from(number % 5).unwrap_or(0)));
                charge.body = body.into();
            }
            _ => {}
        }
    }

    /// On its way back.
    pub fn reply(self, reply: &mut Reply) {
        match (self, reply) {
            (Self::UnclearIsClean, Reply::Committing(committing)) => {
                *committing = Committing::Clean
            }
            (Self::StoreNotAsked, Reply::Asked(Ok(rows))) => rows.clear(),
            (Self::RepeatedDeclineBelieved, Reply::Answer(Answer::Response(response))) => {
                response.replayed = true;
            }
            (Self::StoredTooEarly, Reply::Stored(result)) if result.is_err() => {
                *result = Ok(vec![Stored::New; 64]);
            }
            _ => {}
        }
    }
}

fn younger(mark: &mut Mark) {
    mark.minute += 3;
}

fn alter(points: &mut [CommitPoint], change: impl Fn(&mut Metadata, Offset)) {
    for point in points {
        let Ok(mut metadata) = Metadata::decode(point.watermark, &point.metadata) else { continue };
        change(&mut metadata, point.watermark);
        point.metadata = metadata.encode(point.watermark);
    }
}
