//! One real transaction, sent through charge, replay and lookup: how the gateway answers, and how the profile reads it.
//! Deliberately without Kafka, Redis and store; nothing of it is remembered.

use std::fmt;

use anyhow::anyhow;

use super::exit::Exit;
use super::settings;
use crate::adapters::http_gateway::HttpGateway;
use crate::config::Config;
use crate::domain::classify::{Asked, Expected, Verdict};
use crate::domain::transaction::Transaction;
use crate::ports::gateway::{Answer, Charge, Gateway};
use crate::wire::gateway::Profile;

/// What one request came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    pub request: &'static str,
    pub answer: Answer,
    pub verdict: Verdict,
}

/// Sends the transaction; calls `each` with every answer as it comes. What is wrong with the answers together comes
/// back, in words; nothing where all is well.
///
/// # Errors
/// `Exit::BadConfig` where the profile or the address is wrong.
pub async fn check(
    config: &Config,
    tx: &Transaction,
    mut each: impl FnMut(&Asking),
) -> anyhow::Result<Vec<String>> {
    let profile = settings::profile(config)?;
    let gateway = HttpGateway::new(&settings::gateway(config, &profile))
        .map_err(|error| Exit::BadConfig.because(anyhow!(error)))?;
    let charge = Charge { id: tx.id.clone(), body: profile.charge_body(tx) };
    let judge = |request, asked, answer| {
        let verdict = profile.verdict(asked, &Expected::from(tx), &answer);
        Asking { request, answer, verdict }
    };
    let first = Asked::Charge { first: true };
    let first = judge("charge", first, gateway.charge(&charge).await);
    each(&first);
    let again = Asked::Charge { first: false };
    let again = judge("charge again", again, gateway.charge(&charge).await);
    each(&again);
    let lookup = match profile.lookup.is_there() {
        true => Some(judge("lookup", Asked::Lookup, gateway.lookup(&tx.id).await)),
        false => None,
    };
    lookup.iter().for_each(&mut each);
    Ok(flaws(&profile, &first, &again, lookup.as_ref()))
}

fn flaws(
    profile: &Profile,
    first: &Asking,
    again: &Asking,
    lookup: Option<&Asking>,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |text: String| found.push(text);
    let decided = matches!(
        first.verdict,
        Verdict::Approved { .. } | Verdict::Declined { .. } | Verdict::Unconfirmed { .. }
    );
    if !decided {
        note(format!("the first charge is {}; nothing else can be told", first.verdict));
        return found;
    }
    if let (Some(one), Some(other)) = (gateway_id(&first.verdict), gateway_id(&again.verdict))
        && one != other
    {
        note(format!(
            "the same key led to two charges, {one} and {other}: the gateway does not heed it; never run against this"
        ));
    }
    if profile.endpoints.replay.is_some() && !is_marked(&again.answer) {
        note("the second answer is not marked as a replay, as the profile says it would be".into());
    }
    if matches!(again.verdict, Verdict::Unknown { .. } | Verdict::Mismatch { .. }) {
        note(format!("the second charge is {}, though nothing had changed", again.verdict));
    }
    match lookup.map(|lookup| &lookup.verdict) {
        None | Some(Verdict::Approved { .. } | Verdict::Declined { .. }) => {}
        Some(Verdict::NeverSeen) => note(
            "the lookup does not show the charge yet: see lookup.consistent of the profile".into(),
        ),
        Some(verdict) => note(format!("the lookup is {verdict}")),
    }
    found
}

fn gateway_id(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Approved { gateway_id } => Some(gateway_id),
        Verdict::Declined { gateway_id, .. } => gateway_id.as_deref(),
        _ => None,
    }
}

fn is_marked(answer: &Answer) -> bool {
    matches!(answer, Answer::Response(response) if response.replayed)
}

impl fmt::Display for Asking {
    /// `charge: HTTP 200, 112 bytes; approved as ch_1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.request)?;
        match &self.answer {
            Answer::NotSent(why) => write!(f, "not sent, {why}")?,
            Answer::Lost(why) => write!(f, "sent, and no whole answer, {why}")?,
            Answer::Response(response) => {
                let replay = if response.replayed { ", marked as a replay" } else { "" };
                let bytes = response.body.len();
                write!(f, "HTTP {}, {bytes} bytes{replay}", response.status)?;
            }
        }
        write!(f, "; {}", self.verdict)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ports::gateway::Response;

    fn asking(verdict: Verdict, replayed: bool) -> Asking {
        let response = Response { status: 200, replayed, retry_after: None, body: Bytes::new() };
        Asking { request: "charge", answer: Answer::Response(response), verdict }
    }

    fn approved(id: &str) -> Verdict {
        Verdict::Approved { gateway_id: id.to_owned() }
    }

    #[test]
    fn what_contradicts_itself_is_told() {
        let generic = Profile::generic();
        let first = asking(approved("ch_1"), false);
        let again = asking(approved("ch_1"), true);
        let lookup = asking(approved("ch_1"), false);
        assert_eq!(flaws(&generic, &first, &again, Some(&lookup)), Vec::<String>::new());
        let twice = asking(approved("ch_2"), false);
        let found = flaws(&generic, &first, &twice, Some(&asking(Verdict::NeverSeen, false)));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("ch_1 and ch_2"), "{found:?}");
        let unclear = Verdict::StillRunning { retry_after: None };
        assert_eq!(flaws(&generic, &asking(unclear, false), &again, None).len(), 1);
    }
}
