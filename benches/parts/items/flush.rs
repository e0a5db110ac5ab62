//! Our flush against the store's own way to take rows in, with the same rows, in transactions of the same size. What a
//! flush does beyond that is its promise: it finds out what stood there, and says so of each row.

use std::cell::Cell;
use std::fmt::Write as _;
use std::fs;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tollbridge::app::store::{AnyStore, StoreSettings};
use tollbridge::domain::id::{Offset, Partition, Place, TransactionId};
use tollbridge::domain::money::{Amount, Currency};
use tollbridge::domain::outcome::{EventId, Fate, Outcome};
use tollbridge::domain::time::Wall;
use tollbridge::domain::transaction::PayloadHash;
use tollbridge::ports::store::{Batch, Store};
use tollbridge_rig::{Clickhouse, Error, Launch, Postgres, Result, TempDir};

use super::{Size, sides};
use crate::parts::findings::{Report, Target};
use crate::parts::input;
use crate::parts::pairs::{Pairs, interleaved};

/// `flush.max_rows` and `flush.workers` as they are without a word in the configuration.
const ROWS: usize = 1_000;
const WORKERS: usize = 2;
/// As docs/operating.md says for ClickHouse.
const ROWS_OF_CLICKHOUSE: usize = 10_000;
const LIMIT: Duration = Duration::from_secs(120);

fn failed(error: impl std::fmt::Display) -> Error {
    Error::new(format!("flush: {error}"))
}

/// H1: PostgreSQL against `psql \copy`.
pub(super) fn h1(size: Size) -> Result<Report> {
    let postgres = Postgres::start()?;
    let count = size.count(400_000);
    let store = Flush::of(&postgres.url(), ROWS, count)?;
    let folder = TempDir::new("copy")?;
    let (all, script) = (folder.join("all.csv"), folder.join("copy.sql"));
    store.run()?;
    let copied = format!(
        "\\copy (SELECT * FROM transactions ORDER BY source_offset) TO '{}' CSV",
        all.display()
    );
    postgres.psql(&copied)?;
    let mut lines = String::new();
    for part in parts_of(&all, ROWS, &folder)? {
        writeln!(lines, "BEGIN;\n\\copy transactions FROM '{part}' CSV\nCOMMIT;")
            .map_err(failed)?;
    }
    fs::write(&script, lines).map_err(failed)?;
    let url = postgres.url();
    let copy = || {
        let psql = Launch::new("psql").args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            url.as_str(),
            "-f",
        ]);
        timed(count, || psql.arg(&script).run(LIMIT).map(drop))
    };
    let empty = || postgres.psql("TRUNCATE transactions").map(drop);
    let holds = || counted(&postgres.psql("SELECT count(*) FROM transactions")?, count);
    let pairs = interleaved(
        size.pairs(5),
        || between(&empty, &holds, copy),
        || between(&empty, &holds, || store.timed()),
    )?;
    report("our flush / psql \\copy (h1)", &pairs, (count, ROWS), Target::AtLeast(0.7, 0.55))
}

/// H2: SQLite against `sqlite3 .import`.
pub(super) fn h2_sqlite(size: Size) -> Result<Report> {
    let folder = TempDir::new("import")?;
    let (file, all, script) =
        (folder.join("rows.db"), folder.join("all.csv"), folder.join("import.sql"));
    let count = size.count(400_000);
    let store = Flush::of(&format!("sqlite:{}", file.display()), ROWS, count)?;
    store.run()?;
    let sqlite = |arguments: &[&str]| {
        let said = TempDir::new("sqlite")?;
        let output = said.join("said");
        Launch::new("sqlite3").arg(&file).args(arguments).stdout(&output).run(LIMIT)?;
        fs::read_to_string(&output).map_err(failed)
    };
    let text = sqlite(&["-csv", "SELECT * FROM transactions ORDER BY source_offset"])?;
    fs::write(&all, text).map_err(failed)?;
    let mut lines = ".mode csv\n".to_owned();
    for part in parts_of(&all, ROWS, &folder)? {
        writeln!(lines, "BEGIN;\n.import '{part}' transactions\nCOMMIT;").map_err(failed)?;
    }
    fs::write(&script, lines).map_err(failed)?;
    let read = format!(".read '{}'", script.display());
    let import = || timed(count, || sqlite(&[&read]).map(drop));
    let empty =
        || sqlite(&["DELETE FROM transactions; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"]).map(drop);
    let holds = || counted(&sqlite(&["SELECT count(*) FROM transactions"])?, count);
    let pairs = interleaved(
        size.pairs(5),
        || between(&empty, &holds, import),
        || between(&empty, &holds, || store.timed()),
    )?;
    report("our flush / sqlite3 .import (h2)", &pairs, (count, ROWS), Target::AtLeast(0.8, 0.6))
}

/// H2: ClickHouse against the same client, which writes the same blocks and asks for nothing.
pub(super) fn h2_clickhouse(size: Size) -> Result<Report> {
    let server = Clickhouse::start()?;
    let count = size.count(200_000);
    let store = Flush::of(&server.url(), ROWS_OF_CLICKHOUSE, count)?;
    let client =
        clickhouse::Client::default().with_url(format!("http://127.0.0.1:{}", server.port()));
    let insert = || timed(count, || block_on(async { insert_all(&client, &store.batches).await }));
    let empty = || server.query("TRUNCATE TABLE transactions").map(drop);
    let holds = || counted(&server.query("SELECT count() FROM transactions FINAL")?, count);
    let pairs = interleaved(
        size.pairs(5),
        || between(&empty, &holds, insert),
        || between(&empty, &holds, || store.timed()),
    )?;
    let name = "our flush / the client alone (h2, ClickHouse)";
    let mut report = report(name, &pairs, (count, ROWS_OF_CLICKHOUSE), Target::AtLeast(0.8, 0.6))?;
    report.notes.push("the engine stands behind the shim of the tests".to_owned());
    Ok(report)
}

type Rates = Pairs<f64, f64>;

fn report(
    what: &str,
    pairs: &Rates,
    (count, rows): (u32, usize),
    target: Target,
) -> Result<Report> {
    let rate = |rate: &f64| *rate;
    let names = ("the store's own way", "our flush", "rows/s");
    let findings = sides(pairs, (rate, rate), (what, target), names)?;
    Ok(Report {
        findings,
        notes: vec![format!("{count} rows in transactions of {rows}, {WORKERS} flush workers")],
    })
}

/// An empty table before, all rows in it afterwards.
fn between(
    empty: &impl Fn() -> Result<()>,
    holds: &impl Fn() -> Result<()>,
    measured: impl FnOnce() -> Result<f64>,
) -> Result<f64> {
    empty()?;
    let rate = measured()?;
    holds().map(|()| rate)
}

fn counted(said: &str, count: u32) -> Result<()> {
    match said.trim() == count.to_string() {
        true => Ok(()),
        false => Err(Error::new(format!("{} of {count} rows are there", said.trim()))),
    }
}

/// Rows a second.
fn timed(count: u32, what: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    what()?;
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

/// The lines of a file in files of so many.
fn parts_of(file: &std::path::Path, rows: usize, folder: &TempDir) -> Result<Vec<String>> {
    let text = fs::read_to_string(file).map_err(failed)?;
    let lines: Vec<&str> = text.lines().collect();
    let mut parts = Vec::new();
    for (number, lines) in lines.chunks(rows).enumerate() {
        let part = folder.join(format!("part-{number}.csv"));
        fs::write(&part, lines.join("\n") + "\n").map_err(failed)?;
        parts.push(part.display().to_string());
    }
    Ok(parts)
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?
        .block_on(future)
}

/// A store, and what it is to take in.
struct Flush {
    url: String,
    batches: Vec<Batch>,
    count: u32,
}

impl Flush {
    /// Makes the tables.
    fn of(url: &str, rows: usize, count: u32) -> Result<Self> {
        let numbers: Vec<u32> = (0..count).collect();
        let batch = |numbers: &[u32]| -> Result<Batch> {
            let rows = numbers.iter().map(|number| outcome(*number).map(Arc::new));
            let token = format!("bench-{}", numbers.first().copied().unwrap_or_default());
            Ok(Batch { token, rows: rows.collect::<Result<_>>()? })
        };
        let batches = numbers.chunks(rows).map(batch).collect::<Result<_>>()?;
        let flush = Self { url: url.to_owned(), batches, count };
        block_on(async {
            let store = flush.store()?;
            let migrated = store.migrate().await.map(drop).map_err(failed);
            store.close().await;
            migrated
        })?;
        Ok(flush)
    }

    fn store(&self) -> Result<AnyStore> {
        let settings = StoreSettings { max_connections: 8, timeout: LIMIT, allow_lossy: false };
        AnyStore::connect(&self.url, &settings).map_err(failed)
    }

    fn timed(&self) -> Result<f64> {
        timed(self.count, || self.run())
    }

    fn run(&self) -> Result<()> {
        block_on(async {
            let store = self.store()?;
            let ended = by_workers(&self.batches, async |batch| {
                store.store(batch).await.map(drop).map_err(failed)
            });
            let ended = ended.await;
            store.close().await;
            ended
        })
    }
}

fn outcome(number: u32) -> Result<Outcome> {
    let id = TransactionId::parse(&input::id(number)).map_err(failed)?;
    let at = |later: i64| Wall(1_767_225_600_000_000 + 1_000 * i64::from(number) + later);
    let offset = Offset(i64::from(number));
    let source = Place { topic: "transactions".into(), partition: Partition(0), offset };
    let payload_hash = PayloadHash::of_bytes(Some(id.as_str().as_bytes()));
    Ok(Outcome {
        event_id: EventId::of(&source, &payload_hash),
        fate: Fate::Archived,
        transaction_id: id,
        account_id: format!("acct-{:06}", number % 100_000),
        amount: Amount::new(i64::from(100 + number % 1_000_000)).map_err(failed)?,
        currency: Currency::parse("EUR").ok_or_else(|| failed("EUR is no currency"))?,
        gateway_id: Some(format!("ch_{number}")),
        code: None,
        attempts: 1,
        source,
        payload_hash,
        created_at: at(0),
        admitted_at: at(10),
        decided_at: Some(at(20)),
        stored_at: Some(at(30)),
    })
}

/// A row as the client writes it.
#[derive(clickhouse::Row, Serialize)]
struct Given<'a> {
    event_id: String,
    fate: &'a str,
    transaction_id: &'a str,
    account_id: &'a str,
    amount: i64,
    currency: &'a str,
    gateway_id: Option<&'a str>,
    code: Option<&'a str>,
    attempts: u32,
    source_topic: &'a str,
    source_partition: i32,
    source_offset: i64,
    payload_hash: String,
    created_at: i64,
    admitted_at: i64,
    decided_at: Option<i64>,
    stored_at: Option<i64>,
    generation: u32,
}

impl<'a> From<&'a Outcome> for Given<'a> {
    fn from(row: &'a Outcome) -> Self {
        Self {
            event_id: row.event_id.to_hex().to_string(),
            fate: row.fate.as_str(),
            transaction_id: row.transaction_id.as_str(),
            account_id: &row.account_id,
            amount: row.amount.minor_units(),
            currency: row.currency.as_str(),
            gateway_id: row.gateway_id.as_deref(),
            code: row.code.as_deref(),
            attempts: row.attempts,
            source_topic: &row.source.topic,
            source_partition: row.source.partition.0,
            source_offset: row.source.offset.0,
            payload_hash: row.payload_hash.to_hex().to_string(),
            created_at: row.created_at.0,
            admitted_at: row.admitted_at.0,
            decided_at: row.decided_at.map(|at| at.0),
            stored_at: row.stored_at.map(|at| at.0),
            generation: 0,
        }
    }
}

/// By as many as there are workers.
async fn insert_all(client: &clickhouse::Client, batches: &[Batch]) -> Result<()> {
    let insert = async |batch: &Batch| {
        let mut insert = client.insert::<Given<'_>>("transactions").await.map_err(failed)?;
        for row in &batch.rows {
            insert.write(&Given::from(&**row)).await.map_err(failed)?;
        }
        insert.end().await.map_err(failed)
    };
    by_workers(batches, insert).await
}

/// As the processor does: so many workers, each with one batch after another.
async fn by_workers(batches: &[Batch], put: impl AsyncFn(&Batch) -> Result<()>) -> Result<()> {
    let next = Cell::new(0);
    let worker = async || -> Result<()> {
        while let Some(batch) = batches.get(next.replace(next.get() + 1)) {
            put(batch).await?;
        }
        Ok(())
    };
    let workers: [_; WORKERS] = std::array::from_fn(|_| worker());
    futures_util::future::try_join_all(workers).await.map(drop)
}
