//! The rules: what is watched for the whole group, and what people are told of it.

use crate::domain::alert::Severity;

/// On which side of its levels a number is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Above,
    Below,
}

impl Side {
    /// At the level, or beyond it.
    #[must_use]
    pub fn is_beyond(self, reading: u64, level: u64) -> bool {
        match self {
            Self::Above => reading >= level,
            Self::Below => reading <= level,
        }
    }
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $rule:ident: $name:literal $key:literal $unit:literal $side:ident $severity:ident
        $what:literal $advice:literal;)+) => {
        /// A number that is watched. Readings are whole numbers in [`Rule::unit`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($(#[doc = $doc])* $rule),+ }

        impl Rule {
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$rule),+];

            /// As alerts name it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$rule => $name),+ }
            }

            /// Under `[alerts]`.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Self::$rule => $key),+ }
            }

            #[must_use]
            pub const fn unit(self) -> &'static str {
                match self { $(Self::$rule => $unit),+ }
            }

            #[must_use]
            pub const fn side(self) -> Side {
                match self { $(Self::$rule => Side::$side),+ }
            }

            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$rule => Severity::$severity),+ }
            }

            /// What the number is.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$rule => $what),+ }
            }

            /// The first thing to do.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$rule => $advice),+ }
            }
        }
    };
}

rules! {
    /// Of all partitions, as Redis counts them.
    TempDepth: "temp_queue_depth" "temp_depth" "transactions" Above Warning
        "transactions that wait for their approval"
        "look at the gateway: it is down or slow, or more comes in than it takes";
    /// Likewise, without those whose row is stored.
    ArchiveDepth: "archive_queue_depth" "archive_depth" "transactions" Above Warning
        "approved transactions that wait for the store"
        "look at the store: /readyz has its error; once it is well they are stored by themselves";
    /// Of the partitions of the process that says so.
    TempAge: "temp_queue_age" "temp_age" "seconds" Above Warning
        "the age of the oldest transaction without an approval"
        "look at the gateway, then at /readyz; without an answer it becomes in_doubt when its key runs out";
    /// Likewise.
    ArchiveAge: "archive_queue_age" "archive_age" "seconds" Above Warning
        "the age of the oldest approved transaction that is not reported"
        "look at /readyz: the store or Kafka does not take it";
    /// The worst partition's, of all partitions. 100: the topic deletes what nobody has finished.
    WatermarkRetention: "watermark_retention" "watermark_retention" "percent" Above Critical
        "how much of the topic's retention.ms the oldest unfinished record has used up"
        "raise retention.ms of the source topic now, then look for what holds the watermark: /readyz, and the log";
    /// Of all partitions together.
    ConsumerLag: "consumer_lag" "consumer_lag" "records" Above Warning
        "records of the source topic that are not finished"
        "look at /readyz and tollbridge_intake_paused; where nothing is wrong there are too few processes";
    BreakerOpen: "breaker_open" "breaker_open" "seconds" Above Critical
        "for so long the gateway has only been tried with single requests"
        "bring the gateway back before gateway.key_ttl is over; it goes on by itself once a request is answered";
    /// Approvals among the answers of the last minutes.
    SuccessRate: "success_rate" "success_rate" "percent" Below Warning
        "the share of approvals among the gateway's answers"
        "look at the codes on tx-declined and at tollbridge_gateway_answers_total by outcome";
    StoreFailing: "store_failing" "store_failing" "seconds" Above Critical
        "for so long the store has taken nothing"
        "bring the store back: /readyz has its error; approved transactions wait in Redis";
    /// In the store: of everyone who stores there.
    DoubtsOpen: "doubts_open" "doubts_open" "transactions" Above Critical
        "transactions that may or may not have been charged"
        "find them with tollbridge dlq list, look each up at the gateway, then run tollbridge resolve";
    /// Of the fullest server.
    RedisMemory: "redis_memory" "redis_memory" "percent" Above Warning
        "how much of its maxmemory Redis uses"
        "raise maxmemory; at the limit nothing new is admitted";
    /// Among those that were looked at.
    BalanceBroken: "balance_broken" "balance_broken" "records" Above Critical
        "finished records that have no row and no dead letter"
        "run tollbridge reconcile: it names them; then tollbridge rebuild, if the store was restored";
}

impl Rule {
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }
}
