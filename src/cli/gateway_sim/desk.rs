//! Takes requests, has them decided, and answers them: the gateway's rules come from the book, its faults from the
//! script, and no decision counts before the ledger has it.

use std::collections::HashMap;
use std::fmt::Write;
use std::future::pending;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::faults::{Effect, Faults, On, Plan, Reply};
use super::ledger::Note;
use crate::adapters::memory::gateway::book::DECLINED_CODE;
use crate::adapters::memory::gateway::{Begun, Book, Entry, Ticket, replies};
use crate::adapters::system::SystemClock;
use crate::domain::answer::Response;
use crate::domain::hex::hex;
use crate::domain::time::Wall;
use crate::ports::time::Clock;

/// An answer that never comes is held for so long, should the client wait.
const SILENCE_MAX: Duration = Duration::from_secs(600);

/// How this gateway works.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) key_ttl: Duration,
    pub(super) latency: Duration,
    pub(super) faults: Faults,
}

/// What the client gets to see.
#[derive(Debug)]
pub(super) enum Told {
    Response(Response),
    /// The connection is closed without an answer.
    Cut,
    /// The connection is closed within this answer.
    CutMidway(Response),
    /// Nothing, for as long as the client waits.
    Silence,
}

/// A decision on its way to the ledger and back.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) entry: Entry,
    reply: Reply,
    /// Gone where the client is.
    client: oneshot::Sender<Told>,
}

#[derive(Debug)]
pub(super) struct Desk {
    book: Mutex<Book>,
    /// How often each id was looked up, kept only where a fault asks.
    lookups: Mutex<HashMap<String, u32>>,
    terms: Terms,
    notes: mpsc::Sender<Note>,
    ledger: PathBuf,
}

impl Desk {
    pub(super) fn new(
        book: Book,
        terms: Terms,
        notes: mpsc::Sender<Note>,
        ledger: PathBuf,
    ) -> Self {
        Self { book: Mutex::new(book), lookups: Mutex::default(), terms, notes, ledger }
    }

    pub(super) fn ledger(&self) -> &PathBuf {
        &self.ledger
    }

    /// A charge request. What it starts goes on when the caller is dropped.
    pub(super) async fn charge(self: &Arc<Self>, key: String, body: Bytes) -> Told {
        let attempt = self.book().count(&key);
        let plan = self.terms.faults.plan(On::Charge, &key, attempt);
        self.note_attempt(&key, attempt, &body);
        let wait = self.terms.latency + plan.delay;
        match plan.effect {
            Effect::Nothing => {
                pause(wait).await;
                answer_untaken(plan.reply, &body).await
            }
            Effect::ArriveLate(by) => {
                let desk = Arc::clone(self);
                let late = async move {
                    sleep(by).await;
                    desk.take(key, &body, plan, wait);
                };
                tokio::spawn(late);
                silence().await
            }
            Effect::Take | Effect::DecideLate(_) => {
                let client = self.take(key, &body, plan, wait);
                match client.await {
                    Ok(Told::Silence) => silence().await,
                    Ok(told) => told,
                    Err(_) => Told::Cut,
                }
            }
        }
    }

    /// Looks at the key now; decides it, or answers, after `wait`.
    fn take(
        self: &Arc<Self>,
        key: String,
        body: &[u8],
        plan: Plan,
        wait: Duration,
    ) -> oneshot::Receiver<Told> {
        let (client, told) = oneshot::channel();
        let begun = {
            let mut book = self.book();
            if plan.forget_key {
                book.forget(&key);
            }
            book.begin(now(), &key, body, self.terms.key_ttl)
        };
        let wait = match plan.effect {
            Effect::DecideLate(by) => wait + by,
            _ => wait,
        };
        if wait.is_zero() {
            self.go_on(begun, plan, client);
        } else {
            let desk = Arc::clone(self);
            tokio::spawn(async move {
                sleep(wait).await;
                desk.go_on(begun, plan, client);
            });
        }
        told
    }

    fn go_on(&self, begun: Begun, plan: Plan, client: oneshot::Sender<Told>) {
        match begun {
            Begun::Answered(response) => {
                // A client that has gone away is no error.
                client.send(spoil(&plan.reply, response, None)).ok();
            }
            Begun::Started(ticket) => self.decide(ticket, plan, client),
        }
    }

    fn decide(&self, ticket: Ticket, plan: Plan, client: oneshot::Sender<Told>) {
        let asked = ticket.declines.then(|| DECLINED_CODE.into());
        let declined = asked.or(plan.declined);
        let mut entry = self.book().decide(now(), ticket, declined);
        entry.kept = !plan.unkept;
        // The thread ends only when the whole simulator does.
        self.notes.send(Note::Decision(Decided { entry, reply: plan.reply, client })).ok();
    }

    /// The ledger has it: it counts, and the client may know.
    pub(super) fn enter(&self, decided: Decided) {
        let truth = self.book().enter(decided.entry.clone());
        let told = spoil(&decided.reply, truth, Some(&decided.entry));
        decided.client.send(told).ok();
    }

    pub(super) async fn lookup(&self, id: &str) -> Told {
        let plan = if self.terms.faults.concern_lookups() {
            let attempt = self.count_lookup(id);
            self.terms.faults.plan(On::Lookup, id, attempt)
        } else {
            Plan::default()
        };
        pause(self.terms.latency + plan.delay).await;
        match plan.effect {
            Effect::Nothing => answer_untaken(plan.reply, &[]).await,
            _ => Told::Response(self.book().lookup(id, Wall(i64::MAX))),
        }
    }

    fn count_lookup(&self, id: &str) -> u32 {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        let count = lookups.entry(id.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count
    }

    fn note_attempt(&self, key: &str, attempt: u32, body: &[u8]) {
        let (at, sha256) = (now().0, hex(&Sha256::digest(body)));
        let mut line = String::with_capacity(160);
        let key = serde_json::Value::from(key);
        let written = write!(
            line,
            "{{\"key\":{key},\"at\":{at},\"attempt\":{attempt},\"body_sha256\":\"{sha256}\"}}"
        );
        debug_assert!(written.is_ok(), "writing to a string");
        self.notes.send(Note::Attempt(line)).ok();
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a request that was not taken.
async fn answer_untaken(reply: Reply, body: &[u8]) -> Told {
    if let Reply::DeclinedAhead(code) = reply {
        return Told::Response(replies::declined_ahead(body, &code));
    }
    match spoil(&reply, replies::error(500, "internal"), None) {
        Told::Silence => silence().await,
        told => told,
    }
}

/// What is said instead of `truth`. Lies about a decision need one.
fn spoil(reply: &Reply, truth: Response, entry: Option<&Entry>) -> Told {
    Told::Response(match (reply, entry) {
        (Reply::Silence, _) => return Told::Silence,
        (Reply::Cut, _) => return Told::Cut,
        (Reply::CutMidway, _) => return Told::CutMidway(truth),
        (Reply::Error { status, retry_after }, _) => {
            Response { retry_after: *retry_after, ..replies::error(*status, "internal") }
        }
        (Reply::Throttle(retry_after), _) => replies::throttled(*retry_after),
        (Reply::Html, _) => replies::html(),
        (Reply::Garbage, _) => replies::garbage(),
        (Reply::WrongId, Some(entry)) => replies::wrong_id(entry),
        (Reply::WrongAmount, Some(entry)) => replies::wrong_amount(entry),
        (Reply::DuplicateCode(code), Some(entry)) => replies::declined(entry, code),
        (Reply::WrongId | Reply::WrongAmount | Reply::DuplicateCode(_), None) => truth,
        (Reply::Truth | Reply::DeclinedAhead(_), _) => truth,
    })
}

async fn pause(wait: Duration) {
    if !wait.is_zero() {
        sleep(wait).await;
    }
}

async fn silence() -> Told {
    tokio::time::timeout(SILENCE_MAX, pending()).await.unwrap_or(Told::Cut)
}

fn now() -> Wall {
    SystemClock.now().wall
}
