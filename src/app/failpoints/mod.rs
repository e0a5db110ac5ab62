//! What goes wrong on purpose between the loop and the ports: a process that dies before or after a given call, or
//! keeps it waiting, and planted bugs. It is for the kill suite and compiled only with the feature `failpoints`, which
//! no build has by default: deliberately nothing of it is in the program that is run in production. With the feature,
//! and none of the two variables set, everything is as it is without.

mod plants;
mod points;

use std::env::VarError;
use std::fmt::Display;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use self::plants::{Plant, Planted};
use self::points::{Point, Side};
use super::drive::{Done, Ports, SurveyOf, begin as carry_out};
use crate::domain::time::Boot;
use crate::pipeline::{Call, CallId};
use crate::ports::gateway::Gateway;
use crate::ports::publisher::Publisher;
use crate::ports::queue::Queue;
use crate::ports::source::{Source, SourceEvent};
use crate::ports::store::Store;

/// Where a process dies or waits: `commit:after:3`, `charge:before:10:2s`.
const FAILPOINT: &str = "TOLLBRIDGE_FAILPOINT";
/// The name of a planted bug.
const PLANT: &str = "TOLLBRIDGE_PLANT";

/// What shall go wrong in this process.
#[derive(Debug, Default)]
pub struct Failpoints {
    point: Option<Point>,
    plant: Option<Planted>,
    /// Calls of the point's name so far.
    met: AtomicU64,
}

/// A variable that says nothing which could be done.
#[derive(Debug, thiserror::Error)]
#[error("{variable} is {value:?}: {why}")]
pub struct BadVariable {
    variable: &'static str,
    value: String,
    why: String,
}

impl Failpoints {
    /// What the environment asks for.
    ///
    /// # Errors
    /// Names the variable, its value and what it may be.
    pub fn of_environment() -> Result<Self, BadVariable> {
        let plant: Option<Plant> = read(PLANT)?;
        let failpoints =
            Self { point: read(FAILPOINT)?, plant: plant.map(Planted::new), ..Self::default() };
        if let Some(point) = &failpoints.point {
            tracing::warn!("failpoint {point}");
        }
        if let Some(plant) = plant {
            tracing::warn!("planted bug {plant:?}");
        }
        Ok(failpoints)
    }

    /// What the group tells, on its way to the pipeline.
    pub fn hear(&self, event: &SourceEvent, source: &impl Source) {
        if let Some(plant) = &self.plant {
            plant.hear(event, source);
        }
    }

    /// Counts a call of this name; its number from 1, where it is the point's.
    fn count(&self, name: &str) -> Option<(&Point, u64)> {
        let point = self.point.as_ref().filter(|point| point.call == name)?;
        Some((point, self.met.fetch_add(1, Ordering::Relaxed) + 1))
    }
}

#[expect(clippy::disallowed_methods, reason = "what is asked for here is no configuration")]
fn read<T: FromStr<Err: Display>>(variable: &'static str) -> Result<Option<T>, BadVariable> {
    let bad = |value: String, why: String| BadVariable { variable, value, why };
    match std::env::var(variable) {
        Ok(text) => text.parse().map(Some).map_err(|why: T::Err| bad(text, why.to_string())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(text)) => {
            Err(bad(text.to_string_lossy().into_owned(), "it is no UTF-8".to_owned()))
        }
    }
}

/// In place of the loop's own step from an effect to its call.
pub(super) fn begin<'a, S, P, Q, G, D, C>(
    ports: &'a Ports<S, P, Q, G, D, C>,
    survey: &SurveyOf,
    id: CallId,
    call: Call,
    began: Boot,
) -> Pin<Box<dyn Future<Output = Done> + Send + 'a>>
where
    S: Source + Send + Sync,
    P: Publisher + Send + Sync,
    Q: Queue + Send + Sync,
    G: Gateway + Send + Sync,
    D: Store + Send + Sync,
    C: Sync,
{
    let name = call.name();
    let failpoints = &ports.failpoints;
    let met = failpoints.count(name);
    let survey = survey.clone();
    Box::pin(async move {
        if let Some((point, number)) = met {
            point.reached(Side::Before, number).await;
        }
        let done = match &failpoints.plant {
            None => carry_out(ports, &survey, id, call, began).await,
            Some(plant) => {
                let call = plant.leaving(call);
                let rows = if let Call::Store(batch) = &call { batch.rows.len() } else { 0 };
                let mut done = match plant.instead(ports, &call).await {
                    Some(reply) => Done { id, reply, name, began },
                    None => carry_out(ports, &survey, id, call, began).await,
                };
                plant.returned(&mut done.reply, rows);
                done
            }
        };
        if let Some((point, number)) = met {
            point.reached(Side::After, number).await;
        }
        done
    })
}
