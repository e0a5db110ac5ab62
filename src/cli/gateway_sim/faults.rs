//! The script of faults: which requests go wrong, and how. Whether a transaction is hit depends on the seed, the
//! fault's place in the script and the id alone, so that a run can be repeated.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;

use super::DEFAULT_DELAY;
use crate::config::units::Period;

/// Why a script can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FaultsError {
    #[error("--faults {path}: {why}")]
    File { path: String, why: String },
    #[error("fault {number}, {key}: {why}")]
    Fault { number: usize, key: &'static str, why: String },
}

/// What happens to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub effect: Effect,
    pub reply: Reply,
    /// Before it is decided, or answered where nothing is.
    pub delay: Duration,
    /// Declines, if this request is decided.
    pub declined: Option<Arc<str>>,
    /// Keeps no record of the decision.
    pub unkept: bool,
    pub forget_key: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effect {
    #[default]
    Take,
    Nothing,
    /// Takes it now, decides after so long.
    DecideLate(Duration),
    /// Takes it after so long.
    ArriveLate(Duration),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reply {
    #[default]
    Truth,
    Silence,
    Cut,
    CutMidway,
    Error {
        status: u16,
        retry_after: Option<Duration>,
    },
    Throttle(Duration),
    Html,
    Garbage,
    WrongId,
    WrongAmount,
    DuplicateCode(Arc<str>),
    DeclinedAhead(Arc<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum On {
    #[default]
    Charge,
    Lookup,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Decline,
    DeclineUnkept,
    DeclineAhead,
    TimeoutBefore,
    TimeoutAfter,
    LateCharge,
    LateArrival,
    ErrorBefore,
    ErrorAfter,
    Throttle,
    Slow,
    CutBefore,
    CutAfter,
    CutMidway,
    Garbage,
    WrongId,
    WrongAmount,
    DuplicateCode,
    Html,
    ForgetKey,
}

/// A fault as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultText {
    kind: Kind,
    rate: Option<f64>,
    attempts: Option<Attempts>,
    #[serde(default, rename = "match")]
    matches: Vec<String>,
    #[serde(default)]
    on: On,
    delay: Option<String>,
    status: Option<u16>,
    retry_after: Option<String>,
    code: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Attempts {
    These(Vec<u32>),
    Word(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    fault: Vec<FaultText>,
}

#[derive(Debug)]
struct Fault {
    kind: Kind,
    on: On,
    /// Hit where the id's hash is below this share of all hashes.
    rate: f64,
    /// Empty: all.
    attempts: Vec<u32>,
    matches: Vec<String>,
    delay: Duration,
    status: u16,
    retry_after: Option<Duration>,
    code: Arc<str>,
}

#[derive(Debug, Default)]
pub struct Faults {
    seed: u64,
    faults: Vec<Fault>,
}

impl Faults {
    /// # Errors
    /// Names the file, the fault and the key.
    pub fn read(path: &Path) -> Result<Self, FaultsError> {
        let file = |why: String| FaultsError::File { path: path.display().to_string(), why };
        let text = std::fs::read_to_string(path).map_err(|error| file(error.to_string()))?;
        Self::parse(&text).map_err(|error| file(error.to_string()))
    }

    /// # Errors
    /// Names the fault and the key.
    pub fn parse(text: &str) -> Result<Self, FaultsError> {
        let script: Script = Figment::from(Toml::string(text)).extract().map_err(|error| {
            FaultsError::File { path: "script".to_owned(), why: error.to_string() }
        })?;
        let faults = script.fault.into_iter().enumerate();
        let faults = faults.map(|(at, text)| check(at + 1, text)).collect::<Result<_, _>>()?;
        Ok(Self { seed: script.seed, faults })
    }

    /// Whether lookups can go wrong.
    #[must_use]
    pub fn concern_lookups(&self) -> bool {
        self.faults.iter().any(|fault| fault.on == On::Lookup)
    }

    /// What happens to this request. `attempt` counts from 1.
    #[must_use]
    pub fn plan(&self, on: On, id: &str, attempt: u32) -> Plan {
        let mut plan = Plan::default();
        let mut hit = false;
        for (at, fault) in self.faults.iter().enumerate() {
            if fault.on != on || !fault.fits(id, attempt) || !self.hits(at, fault.rate, id) {
                continue;
            }
            match fault.kind {
                Kind::Decline => {
                    plan.declined.get_or_insert_with(|| Arc::clone(&fault.code));
                }
                Kind::Slow => plan.delay = plan.delay.max(fault.delay),
                _ if !hit => {
                    hit = true;
                    fault.apply(&mut plan);
                }
                _ => {}
            }
        }
        plan
    }

    #[expect(clippy::cast_precision_loss, reason = "a share of transactions, not money")]
    fn hits(&self, at: usize, rate: f64, id: &str) -> bool {
        let place = (at as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = mix(u64::from(crc32fast::hash(id.as_bytes())) ^ mix(self.seed ^ place));
        ((mixed >> 11) as f64) < rate * (1_u64 << 53) as f64
    }
}

/// Spreads numbers that lie close together over all of them (the finalizer of SplitMix64).
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

impl Fault {
    fn fits(&self, id: &str, attempt: u32) -> bool {
        (self.attempts.is_empty() || self.attempts.contains(&attempt))
            && (self.matches.is_empty() || self.matches.iter().any(|start| id.starts_with(start)))
    }

    fn apply(&self, plan: &mut Plan) {
        let (effect, reply) = match self.kind {
            Kind::Decline | Kind::Slow => return,
            Kind::DeclineUnkept => {
                plan.declined = Some(Arc::clone(&self.code));
                plan.unkept = true;
                (Effect::Take, Reply::Truth)
            }
            Kind::ForgetKey => {
                plan.forget_key = true;
                (Effect::Take, Reply::Truth)
            }
            Kind::DeclineAhead => (Effect::Nothing, Reply::DeclinedAhead(Arc::clone(&self.code))),
            Kind::TimeoutBefore => (Effect::Nothing, Reply::Silence),
            Kind::TimeoutAfter => (Effect::Take, Reply::Silence),
            Kind::LateCharge => (Effect::DecideLate(self.delay), Reply::Silence),
            Kind::LateArrival => (Effect::ArriveLate(self.delay), Reply::Silence),
            Kind::ErrorBefore => (Effect::Nothing, self.error()),
            Kind::ErrorAfter => (Effect::Take, self.error()),
            Kind::Throttle => {
                let retry_after = self.retry_after.unwrap_or(DEFAULT_DELAY);
                (Effect::Nothing, Reply::Throttle(retry_after))
            }
            Kind::CutBefore => (Effect::Nothing, Reply::Cut),
            Kind::CutAfter => (Effect::Take, Reply::Cut),
            Kind::CutMidway => (Effect::Take, Reply::CutMidway),
            Kind::Garbage => (Effect::Take, Reply::Garbage),
            Kind::WrongId => (Effect::Take, Reply::WrongId),
            Kind::WrongAmount => (Effect::Take, Reply::WrongAmount),
            Kind::DuplicateCode => (Effect::Take, Reply::DuplicateCode(Arc::clone(&self.code))),
            Kind::Html => (Effect::Nothing, Reply::Html),
        };
        (plan.effect, plan.reply) = (effect, reply);
    }

    fn error(&self) -> Reply {
        Reply::Error { status: self.status, retry_after: self.retry_after }
    }
}

fn check(number: usize, text: FaultText) -> Result<Fault, FaultsError> {
    use Kind::{CutBefore, ErrorBefore, Html, Slow, Throttle, TimeoutBefore};
    let bad = |key, why: &str| FaultsError::Fault { number, key, why: why.to_owned() };
    let period = |key, text: Option<String>| match text.map(|text| text.parse::<Period>()) {
        Some(Err(error)) => Err(bad(key, &error.to_string())),
        Some(Ok(period)) => Ok(Some(period.0)),
        None => Ok(None),
    };
    let rate = text.rate.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&rate) {
        return Err(bad("rate", "it must be from 0 to 1"));
    }
    let lookup_kinds = [TimeoutBefore, ErrorBefore, Throttle, Slow, CutBefore, Html];
    if text.on == On::Lookup && !lookup_kinds.contains(&text.kind) {
        return Err(bad("on", "this kind is about charges; a lookup charges nothing"));
    }
    let attempts = match text.attempts {
        None if text.kind == Kind::Decline => Vec::new(),
        None => vec![1],
        Some(Attempts::Word(word)) if word == "all" => Vec::new(),
        Some(Attempts::These(these)) if !these.is_empty() && !these.contains(&0) => these,
        Some(_) => return Err(bad("attempts", "it is a list of numbers from 1, or \"all\"")),
    };
    let status = text.status.unwrap_or(500);
    if !(200..=599).contains(&status) {
        return Err(bad("status", "it must be from 200 to 599"));
    }
    let code = text.code.unwrap_or_else(|| default_code(text.kind).to_owned());
    if code.is_empty() || !code.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
        return Err(bad("code", "it is made of letters, digits, _ - and ."));
    }
    Ok(Fault {
        kind: text.kind,
        on: text.on,
        rate,
        attempts,
        matches: text.matches,
        delay: period("delay", text.delay)?.unwrap_or(DEFAULT_DELAY),
        status,
        retry_after: period("retry_after", text.retry_after)?,
        code: code.into(),
    })
}

fn default_code(kind: Kind) -> &'static str {
    match kind {
        Kind::DuplicateCode => "duplicate_transaction",
        Kind::DeclineUnkept | Kind::DeclineAhead => "limit_exceeded",
        _ => "insufficient_funds",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_hits_the_same_share_of_transactions_every_time() {
        let faults =
            Faults::parse("seed = 7\n[[fault]]\nkind = 'timeout-after'\nrate = 0.05").unwrap();
        let hits = |seed: &Faults| -> Vec<u32> {
            let ids = 0..20_000;
            ids.filter(|n| seed.plan(On::Charge, &format!("tx-{n:06}"), 1) != Plan::default())
                .collect()
        };
        let hit = hits(&faults);
        assert!((900..=1100).contains(&hit.len()), "{}", hit.len());
        assert_eq!(hit, hits(&faults));
        let other = Faults { seed: 8, ..faults };
        assert_ne!(hit, hits(&other));
    }

    #[test]
    fn faults_keep_to_their_attempts_and_ids() {
        let script =
            "[[fault]]\nkind='throttle'\nattempts=[1,3]\nmatch=['a','b']\nretry_after='2s'";
        let faults = Faults::parse(script).unwrap();
        let hit = |id, attempt| faults.plan(On::Charge, id, attempt).reply != Reply::Truth;
        assert!(hit("a1", 1) && hit("b", 3));
        assert!(!hit("a1", 2) && !hit("c", 1));
        let reply = faults.plan(On::Charge, "a", 1).reply;
        assert_eq!(reply, Reply::Throttle(Duration::from_secs(2)));
        assert_eq!(faults.plan(On::Lookup, "a", 1), Plan::default());
    }

    #[test]
    fn a_throttle_says_when_to_come_again_and_an_error_where_the_script_does() {
        let reply = |fault: &str| {
            let faults = Faults::parse(&format!("[[fault]]\n{fault}")).unwrap();
            faults.plan(On::Charge, "a", 1).reply
        };
        assert_eq!(reply("kind='throttle'"), Reply::Throttle(DEFAULT_DELAY));
        for kind in ["error-before", "error-after"] {
            let (after, none) = (Some(Duration::from_secs(4)), None);
            for (key, retry_after) in [("retry_after='4s'", after), ("", none)] {
                let fault = format!("kind='{kind}'\nstatus=503\n{key}");
                assert_eq!(reply(&fault), Reply::Error { status: 503, retry_after }, "{fault}");
            }
        }
    }

    #[test]
    fn declines_go_together_with_other_faults() {
        let script =
            "[[fault]]\nkind='decline'\n[[fault]]\nkind='timeout-before'\n[[fault]]\nkind='slow'";
        let faults = Faults::parse(script).unwrap();
        let first = faults.plan(On::Charge, "a", 1);
        assert_eq!(
            (first.effect, first.reply, first.delay),
            (Effect::Nothing, Reply::Silence, DEFAULT_DELAY)
        );
        let second = faults.plan(On::Charge, "a", 2);
        assert_eq!(second, Plan { declined: Some("insufficient_funds".into()), ..Plan::default() });
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        for (line, named) in [
            ("kind='none'", "kind"),
            ("kind='slow'\nspeed=1", "speed"),
            ("kind='slow'\nrate=1.5", "rate"),
            ("kind='slow'\ndelay='2'", "delay"),
            ("kind='slow'\nattempts=[0]", "attempts"),
            ("kind='slow'\nattempts='some'", "attempts"),
            ("kind='error-after'\nstatus=99", "status"),
            ("kind='error-before'\nretry_after='2'", "retry_after"),
            ("kind='decline'\ncode='a\"b'", "code"),
            ("kind='timeout-after'\non='lookup'", "on"),
        ] {
            let error = Faults::parse(&format!("[[fault]]\n{line}")).unwrap_err().to_string();
            assert!(error.contains(named), "{line} gave {error}");
        }
    }
}
