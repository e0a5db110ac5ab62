//! The values that labels can have: closed lists, so that no label ever carries an id and every series exists from
//! the start.

use crate::domain::classify::{RequestKind, Verdict};
use crate::domain::outcome::Fate;

/// A closed list of label values.
pub trait Label: Copy + PartialEq + 'static {
    const ALL: &'static [Self];
    fn as_str(self) -> &'static str;
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
    /// What is timed.
    Stage {
        Admit = "admit",
        Charge = "charge",
        Settle = "settle",
        Flush = "flush",
        Publish = "publish",
        EndToEnd = "end_to_end",
    }
}

labels! {
    /// Why intake pauses.
    Pause {
        TempFull = "temp_full",
        ArchiveFull = "archive_full",
        Redis = "redis",
        Store = "store",
        Gateway = "gateway",
        Publish = "publish",
    }
}

labels! {
    /// How a call to a part ended.
    Ended { Ok = "ok", Error = "error" }
}

labels! {
    /// How a Kafka transaction ended.
    Commit { Clean = "clean", Unclear = "unclear" }
}

labels! {
    /// What the store did with a row.
    Row { New = "new", Replaced = "replaced", Kept = "kept" }
}

labels! {
    /// What the group did.
    Rebalance { Assigned = "assigned", Revoked = "revoked", Lost = "lost" }
}

labels! {
    /// What an answer of the gateway meant.
    Meaning {
        Approved = "approved",
        Declined = "declined",
        NeedsLookup = "needs_lookup",
        DuplicateCode = "duplicate_code",
        Unknown = "unknown",
        NotSent = "not_sent",
        NotTaken = "not_taken",
        StillRunning = "still_running",
        Mismatch = "mismatch",
        NeverSeen = "never_seen",
    }
}

labels! {
    /// The alerts.
    Rule { TempDepth = "temp_depth", ArchiveDepth = "archive_depth" }
}

impl From<&Verdict> for Meaning {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Approved { .. } => Self::Approved,
            Verdict::Declined { .. } => Self::Declined,
            Verdict::NeedsLookup { .. } => Self::NeedsLookup,
            Verdict::DuplicateCode { .. } => Self::DuplicateCode,
            Verdict::Unknown { .. } => Self::Unknown,
            Verdict::NotSent { .. } => Self::NotSent,
            Verdict::NotTaken { .. } => Self::NotTaken,
            Verdict::StillRunning { .. } => Self::StillRunning,
            Verdict::Mismatch { .. } => Self::Mismatch,
            Verdict::NeverSeen => Self::NeverSeen,
        }
    }
}

impl Label for Fate {
    const ALL: &'static [Self] =
        &[Self::Archived, Self::Declined, Self::Duplicate, Self::Rejected, Self::InDoubt];

    fn as_str(self) -> &'static str {
        Fate::as_str(self)
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
