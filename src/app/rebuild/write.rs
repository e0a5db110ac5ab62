//! Brings to the store what it lacks, by its ordinary calls. Each may be repeated: what was cut short goes on where it
//! ended.

use std::sync::Arc;

use anyhow::anyhow;
use sha2::{Digest, Sha256};

use super::history::Step;
use super::report::{Flaw, Report};
use super::{Lacking, Site};
use crate::app::exit::Exit;
use crate::app::reconcile::{Watch, store_gone};
use crate::domain::hex::hex;
use crate::domain::id::TransactionId;
use crate::domain::outcome::Outcome;
use crate::ports::store::{Batch, ResolveError, Store, StoreError, Stored};

impl Site<'_> {
    /// Takes the first step of each id, then the second of those that have one, and so on.
    pub(super) async fn make(
        &self,
        mut lacking: Lacking,
        report: &mut Report,
        watch: &mut impl Watch,
    ) -> anyhow::Result<()> {
        watch.begin("writing rows", lacking.values().map(|steps| steps.len() as u64).sum());
        while !lacking.is_empty() {
            let (mut rows, mut resolutions) = (Vec::new(), Vec::new());
            for steps in lacking.values_mut() {
                match steps.pop_front() {
                    Some(Step::Store(row)) => rows.push(Arc::new(*row)),
                    Some(Step::Resolve(resolution)) => resolutions.push(resolution),
                    None => {}
                }
            }
            for rows in rows.chunks(self.rows_max) {
                for id in self.store_rows(rows, report).await? {
                    lacking.remove(&id);
                }
                watch.add(rows.len() as u64);
            }
            for resolution in resolutions {
                match self.store.resolve(&resolution).await {
                    Ok(resolved) => report.resolutions += u64::from(!resolved.repeated),
                    Err(ResolveError::Refused(why)) => {
                        let id = resolution.id;
                        lacking.remove(&id);
                        report.find(Flaw::OtherRow, Some(id), why.to_string());
                    }
                    Err(ResolveError::Store(error)) => return Err(cut_short(error)),
                }
                watch.add(1);
            }
            lacking.retain(|_, steps| !steps.is_empty());
        }
        Ok(())
    }

    /// Stores a batch; the ids that another row got in the way of.
    async fn store_rows(
        &self,
        rows: &[Arc<Outcome>],
        report: &mut Report,
    ) -> anyhow::Result<Vec<TransactionId>> {
        let batch = Batch { token: token(rows), rows: rows.to_vec() };
        let stored = self.store.store(&batch).await.map_err(cut_short)?;
        let mut met = Vec::new();
        for (row, stored) in rows.iter().zip(stored) {
            match stored {
                Stored::Kept(kept) if *kept != **row => {
                    let detail =
                        format!("meanwhile its row became {} at {}", kept.fate, kept.source);
                    report.find(Flaw::OtherRow, Some(row.transaction_id.clone()), detail);
                    met.push(row.transaction_id.clone());
                }
                Stored::Kept(_) => report.standing += 1,
                Stored::New | Stored::Replaced(_) => {
                    *report.rows.entry(row.fate).or_default() += 1;
                }
            }
        }
        Ok(met)
    }
}

/// The same members in the same order have the same token.
fn token(rows: &[Arc<Outcome>]) -> String {
    let mut hash = Sha256::new_with_prefix("tollbridge rebuild");
    rows.iter().for_each(|row| hash.update(row.event_id.0));
    hex(&hash.finalize()[..16])
}

pub(super) fn cut_short(error: StoreError) -> anyhow::Error {
    match error {
        StoreError::Transient(_) | StoreError::Unknown(_) => Exit::Unavailable.because(anyhow!(
            "store.url: {error}; run it again, it goes on where it was cut short"
        )),
        StoreError::Permanent(_) => store_gone(error),
        StoreError::Poison(_) => error.into(),
    }
}
