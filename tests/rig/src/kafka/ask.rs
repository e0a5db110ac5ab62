//! Which of several brokers to ask: deliberately all of them, and the one that leads answers. So nothing that was once
//! told of leaders need be believed.

use super::wire::Told;
use crate::error::{Error, Result};
use crate::wait::wait_for;
use std::time::Duration;

/// A leader that is gone is followed by another within seconds, also on a busy machine.
const LEADER_LIMIT: Duration = Duration::from_secs(30);
/// `LEADER_NOT_AVAILABLE`, `NOT_LEADER_OR_FOLLOWER`, `COORDINATOR_LOAD_IN_PROGRESS`, `COORDINATOR_NOT_AVAILABLE` and
/// `NOT_COORDINATOR`.
const ELSEWHERE_OR_LATER: [i16; 5] = [5, 6, 14, 15, 16];

/// Whether another broker leads what was asked for, or soon will.
pub(super) fn is_elsewhere_or_later(code: i16) -> bool {
    ELSEWHERE_OR_LATER.contains(&code)
}

/// Asks until there is an answer to each part of the question, as long as some broker says that there soon will be one;
/// `question` puts it to a broker, and each answers the parts that it leads. `what` is asked for.
pub(super) fn ask_each<T>(
    what: &str,
    ports: &[u16],
    question: impl Fn(u16) -> Result<Vec<Told<T>>>,
) -> Result<Vec<T>> {
    wait_for(what, LEADER_LIMIT, || {
        let mut parts: Vec<Told<T>> = Vec::new();
        let mut silence = Error::new("there is no broker");
        for port in ports {
            match question(*port) {
                Ok(told) if parts.is_empty() => parts = told,
                Ok(told) => {
                    parts = parts.into_iter().zip(told).map(|(a, b)| better(a, b)).collect();
                }
                Err(e) => silence = e,
            }
        }
        let codes = parts.iter().filter_map(|part| part.as_ref().err());
        if let Some(code) = codes.clone().find(|code| !is_elsewhere_or_later(**code)) {
            return Err(Error::new(format!("the brokers refuse {what} (code {code})")));
        }
        match (parts.is_empty(), codes.count()) {
            (true, _) => Err(silence),
            (_, 0) => Ok(Some(parts.into_iter().flatten().collect())),
            _ => Ok(None),
        }
    })
}

/// The same where there is one part.
pub(super) fn ask<T>(
    what: &str,
    ports: &[u16],
    question: impl Fn(u16) -> Result<Told<T>>,
) -> Result<T> {
    let mut all = ask_each(what, ports, |port| Ok(vec![question(port)?]))?;
    all.pop().ok_or_else(|| Error::new("the brokers answer nothing"))
}

/// An answer before a promise of one, and that before a refusal: a broker that has just started may not know of a topic
/// yet that others know.
fn better<T>(a: Told<T>, b: Told<T>) -> Told<T> {
    match (&a, &b) {
        (Ok(_), _) => a,
        (_, Ok(_)) => b,
        (Err(code), _) if is_elsewhere_or_later(*code) => a,
        _ => b,
    }
}

#[cfg(test)]
mod tests {
    use super::{ask, ask_each};
    use crate::error::{Error, Result};
    use crate::kafka::wire::Told;
    use std::cell::Cell;

    #[test]
    fn each_part_is_answered_by_the_broker_that_leads_it() {
        let silent = || Err(Error::new("refused"));
        let brokers = |port| match port {
            1 => Ok(vec![Ok(7), Err(6)]),
            2 => Ok(vec![Err(6), Ok(8)]),
            _ => silent(),
        };
        assert_eq!(ask_each("it", &[1, 2, 3], brokers).unwrap(), [7, 8]);
        assert!(ask_each("it", &[3], brokers).unwrap_err().to_string().contains("refused"));
        // One that has just started does not know of the topic yet.
        assert_eq!(
            ask("it", &[1, 2], |port| Ok([Err(3), Ok(9)][usize::from(port) - 1])).unwrap(),
            9
        );
        let unknown = ask("it", &[1, 2], |_| -> Result<Told<()>> { Ok(Err(3)) });
        assert!(unknown.unwrap_err().to_string().contains("code 3"));
    }

    #[test]
    fn while_somebody_says_that_another_leads_it_is_asked_again() {
        let asked = Cell::new(0);
        let told = ask("it", &[1, 2], |port| {
            asked.set(asked.get() + 1);
            match (port, asked.get()) {
                (2, _) => Err(Error::new("it is down")),
                (_, 1..5) => Ok(Err(16)),
                _ => Ok(Ok("here")),
            }
        });
        assert_eq!((told.unwrap(), asked.get()), ("here", 6));
    }
}
