//! The ledger on disk. A thread of its own writes and syncs; as many decisions as are waiting share one sync, and
//! none is handed on before it. What a crash tore off the last line was never answered, and is cut off.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc as handover;

use super::desk::{Decided, Desk};
use crate::adapters::memory::gateway::{Book, Entry};
use crate::domain::hex::{hex, unhex};
use crate::domain::id::TransactionId;
use crate::domain::money::{Amount, Currency};
use crate::domain::time::Wall;

/// So many notes share a sync at most.
const BATCH_MAX: usize = 8192;

/// One decision, as a line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    transaction_id: String,
    amount: i64,
    currency: String,
    outcome: Outcome,
    at: i64,
    id: String,
    attempt: u32,
    body_sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Written where the key does not stand for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unkept: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Charged,
    Declined,
}

/// What the thread is to write.
#[derive(Debug)]
pub(super) enum Note {
    Decision(Decided),
    /// A line of the file of attempts, without its end.
    Attempt(String),
    /// The last one.
    End,
}

/// The files, open for appending.
#[derive(Debug)]
pub(super) struct Files {
    ledger: File,
    attempts: File,
}

/// Opens the ledger, or makes it, and reads what stands in it.
pub(super) fn open(path: &Path) -> anyhow::Result<(Book, Files)> {
    let shown = path.display();
    let mut ledger = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .with_context(|| format!("--ledger {shown}"))?;
    match ledger.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("--ledger {shown}: another simulator writes it"),
        Err(TryLockError::Error(error)) => return Err(error).context("locking the ledger"),
    }
    let mut book = Book::default();
    let whole = read(&mut ledger, &mut book).with_context(|| format!("--ledger {shown}"))?;
    ledger.set_len(whole)?;
    ledger.seek(SeekFrom::End(0))?;
    ledger.sync_all()?;
    sync_folder(path)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".attempts");
    let beside = PathBuf::from(beside);
    let attempts = OpenOptions::new().append(true).create(true).open(&beside);
    let attempts = attempts.with_context(|| beside.display().to_string())?;
    Ok((book, Files { ledger, attempts }))
}

/// A new file's name is on disk only once its folder is.
fn sync_folder(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

/// Enters every whole line; returns how long the file is without a torn one.
fn read(file: &mut File, book: &mut Book) -> anyhow::Result<u64> {
    let mut whole = 0;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            break;
        }
        let entry = entry(&line).with_context(|| format!("line {number} is no decision"))?;
        book.enter(entry);
        whole += bytes as u64;
    }
    Ok(whole)
}

fn entry(line: &[u8]) -> anyhow::Result<Entry> {
    let line: Line = serde_json::from_slice(line)?;
    let declined = match (line.outcome, line.code) {
        (Outcome::Charged, _) => None,
        (Outcome::Declined, code) => Some(code.context("a decline without a code")?.into()),
    };
    Ok(Entry {
        number: line.id.strip_prefix("ch_").context("id")?.parse()?,
        key: line.key.into(),
        transaction_id: TransactionId::parse(&line.transaction_id)?,
        amount: Amount::new(line.amount)?,
        currency: Currency::parse(&line.currency).context("currency")?,
        declined,
        at: Wall(line.at),
        attempt: line.attempt,
        body_sha256: unhex(&line.body_sha256).context("body_sha256")?,
        kept: !line.unkept,
    })
}

fn append(out: &mut Vec<u8>, entry: &Entry) -> anyhow::Result<()> {
    let declined = entry.declined.as_deref();
    let line = Line {
        key: entry.key.to_string(),
        transaction_id: entry.transaction_id.to_string(),
        amount: entry.amount.minor_units(),
        currency: entry.currency.to_string(),
        outcome: if declined.is_none() { Outcome::Charged } else { Outcome::Declined },
        at: entry.at.0,
        id: entry.gateway_id(),
        attempt: entry.attempt,
        body_sha256: hex(&entry.body_sha256),
        code: declined.map(str::to_owned),
        unkept: !entry.kept,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}

/// The writing thread and what comes back from it.
#[derive(Debug)]
pub(super) struct Writer {
    notes: mpsc::Sender<Note>,
    written: handover::UnboundedReceiver<anyhow::Result<Vec<Decided>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(files: Files) -> anyhow::Result<Self> {
        let (notes, inbox) = mpsc::channel();
        let (outbox, written) = handover::unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write_all(files, &inbox, &outbox))?;
        Ok(Self { notes, written, thread: Some(thread) })
    }

    /// Where notes go. None is lost but by a crash.
    pub(super) fn sender(&self) -> mpsc::Sender<Note> {
        self.notes.clone()
    }

    /// Hands decisions on as they are safe, until writing fails; returns why.
    pub(super) async fn deliver(&mut self, desk: &Desk) -> anyhow::Error {
        loop {
            match self.written.recv().await {
                Some(Ok(decided)) => decided.into_iter().for_each(|one| desk.enter(one)),
                Some(Err(error)) => return error,
                None => return anyhow::anyhow!("the writing thread has ended"),
            }
        }
    }

    /// Ends the thread behind the note that it is at, so that no line is left torn, and closes the files.
    pub(super) fn finish(mut self) {
        self.notes.send(Note::End).ok();
        if let Some(thread) = self.thread.take() {
            // It has told of its own failure already.
            thread.join().ok();
        }
    }
}

fn write_all(
    mut files: Files,
    inbox: &mpsc::Receiver<Note>,
    outbox: &handover::UnboundedSender<anyhow::Result<Vec<Decided>>>,
) {
    let mut ended = false;
    while !ended {
        let Ok(first) = inbox.recv() else { return };
        let notes = std::iter::once(first).chain(inbox.try_iter()).take(BATCH_MAX);
        let notes = notes.take_while(|note| {
            ended = matches!(note, Note::End);
            !ended
        });
        match write_batch(&mut files, notes) {
            Ok(decided) if decided.is_empty() => {}
            Ok(decided) => {
                // Where nobody listens any more, nobody is answered; what is written stays written.
                outbox.send(Ok(decided)).ok();
            }
            Err(error) => {
                outbox.send(Err(error)).ok();
                return;
            }
        }
    }
}

fn write_batch(
    files: &mut Files,
    notes: impl Iterator<Item = Note>,
) -> anyhow::Result<Vec<Decided>> {
    let (mut lines, mut attempts, mut decided) = (Vec::new(), Vec::new(), Vec::new());
    for note in notes {
        match note {
            Note::Decision(one) => {
                append(&mut lines, &one.entry)?;
                decided.push(one);
            }
            Note::Attempt(line) => {
                attempts.extend_from_slice(line.as_bytes());
                attempts.push(b'\n');
            }
            Note::End => {}
        }
    }
    if !attempts.is_empty() {
        files.attempts.write_all(&attempts)?;
    }
    if !lines.is_empty() {
        files.ledger.write_all(&lines)?;
        files.ledger.sync_data()?;
    }
    Ok(decided)
}
