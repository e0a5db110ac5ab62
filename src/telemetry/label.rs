//! The values that labels can have: closed lists, so that no label ever carries an id and every series exists from
//! the start.

use crate::domain::alerts::Rule;
use crate::domain::classify::RequestKind;
use crate::domain::outcome::Fate;

/// A closed list of label values.
pub trait Label: Copy + PartialEq + 'static {
    const ALL: &'static [Self];
    fn as_str(self) -> &'static str;

    /// The value of this name.
    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|label| label.as_str() == text)
    }
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant),+ }

        impl Label for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

labels! {
    /// The two queues.
    Queue { Temp = "temp", Archive = "archive" }
}

labels! {
    /// What is timed: the calls that a transaction waits for, and its whole way.
    Stage {
        Admit = "admit",
        Ask = "ask",
        Charge = "charge",
        Lookup = "lookup",
        Settle = "settle",
        Mark = "mark",
        Flush = "flush",
        Publish = "publish",
        Remove = "remove",
        EndToEnd = "end_to_end",
    }
}

labels! {
    /// Why intake pauses.
    Pause {
        AheadFull = "ahead_full",
        TempFull = "temp_full",
        ArchiveFull = "archive_full",
        RedisFull = "redis_full",
        GatewayAway = "gateway_away",
        Told = "told",
        Claiming = "claiming",
        Refused = "refused",
        Stopping = "stopping",
    }
}

labels! {
    /// How a Kafka transaction ended.
    Commit { Clean = "clean", Unclear = "unclear" }
}

labels! {
    /// What an answer of the gateway meant.
    Meaning {
        Approved = "approved",
        Declined = "declined",
        Unknown = "unknown",
        NotSent = "not_sent",
        NotTaken = "not_taken",
        StillRunning = "still_running",
        DoubtfulDecline = "doubtful_decline",
        Mismatch = "mismatch",
        NeverSeen = "never_seen",
    }
}

impl Label for Fate {
    const ALL: &'static [Self] =
        &[Self::Archived, Self::Declined, Self::Duplicate, Self::Rejected, Self::InDoubt];

    fn as_str(self) -> &'static str {
        Fate::as_str(self)
    }
}

impl Label for Rule {
    const ALL: &'static [Self] = &Rule::ALL;

    fn as_str(self) -> &'static str {
        self.name()
    }
}

impl Label for RequestKind {
    const ALL: &'static [Self] = &[Self::Charge, Self::Lookup];

    fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Lookup => "lookup",
        }
    }
}
