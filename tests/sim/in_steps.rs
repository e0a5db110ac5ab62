//! A store without transactions and keys: the real steps of such an adapter, each a statement of its own that may be
//! lost, late, refused, or the moment at which its process dies, with what others store in between.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tollbridge::adapters::clickhouse::steps::{self, Table};
use tollbridge::adapters::clickhouse::{Standing, Written};
use tollbridge::domain::id::TransactionId;
use tollbridge::domain::outcome::Outcome;
use tollbridge::pipeline::{Call, CallId, Reply};
use tollbridge::ports::store::{Batch, StoreError, Stored};

use crate::calls::Room;
use crate::faults::{Fault, Kind, Stage};
use crate::holes::Hole;
use crate::plan::{Micros, S, Shape};
use crate::plants::Plant;
use crate::process::{Life, wall};
use crate::world::{Happening, World, cut};

/// What is asked of the table.
#[derive(Debug)]
pub enum Statement {
    Standing(Vec<TransactionId>),
    /// With the generation of each row.
    Write(String, Vec<(Outcome, u32)>),
}

/// What it says.
#[derive(Debug)]
pub enum Told {
    Standing(Vec<Standing>),
    Written,
}

type Answer = Result<Told, StoreError>;

/// A statement on its way to the table.
#[derive(Debug)]
pub struct Sent {
    pub life: Life,
    id: CallId,
    /// Among all effects of the run.
    number: u64,
    statement: Statement,
    issued: Micros,
    /// By then the caller no longer waits.
    deadline: Micros,
    /// `false`: nobody will ever hear what came of it.
    answered: bool,
}

/// One line to the table: what is asked and not sent yet, what is told and not read yet.
#[derive(Debug, Clone, Default)]
struct Line(Arc<Mutex<(Option<Statement>, Option<Answer>)>>);

impl Line {
    fn open(&self) -> MutexGuard<'_, (Option<Statement>, Option<Answer>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, statement: Statement) -> Answer {
        self.open().0 = Some(statement);
        std::future::poll_fn(|_| self.open().1.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

impl Table for Line {
    async fn standing(&self, ids: &[&str]) -> Result<Vec<Standing>, StoreError> {
        let ids = ids.iter().map(|id| TransactionId::parse(id).expect("an id of ours"));
        match self.answer(Statement::Standing(ids.collect())).await? {
            Told::Standing(standing) => Ok(standing),
            Told::Written => unreachable!("nothing was to be written"),
        }
    }

    async fn write(&self, token: &str, rows: &[Written<'_>]) -> Result<(), StoreError> {
        let rows = rows.iter().map(|written| (written.row.clone(), written.generation()));
        self.answer(Statement::Write(token.to_owned(), rows.collect())).await.map(drop)
    }
}

/// A batch that a process is storing.
pub struct Storing {
    batch: Arc<Batch>,
    line: Line,
    steps: Pin<Box<dyn Future<Output = Result<Vec<Stored>, StoreError>> + Send>>,
    /// What was written last, for a planted bug.
    written: Vec<(Outcome, u32)>,
}

impl World {
    pub fn begin_storing(&mut self, life: Life, id: CallId, batch: Arc<Batch>) {
        let line = Line::default();
        let (table, what) = (line.clone(), Arc::clone(&batch));
        let steps = Box::pin(async move { steps::store(&table, &what).await });
        let Some(up) = self.running_mut(life) else { return };
        up.storing.insert(id, Storing { batch, line, steps, written: Vec::new() });
        self.go_on_storing(life, id);
    }

    fn go_on_storing(&mut self, life: Life, id: CallId) {
        let Some(up) = self.running_mut(life) else { return };
        let Some(storing) = up.storing.get_mut(&id) else { return };
        match storing.steps.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {
                let statement = storing.line.open().0.take().expect("a step asks for something");
                self.send(life, id, statement);
            }
            Poll::Ready(stored) => {
                let Some(Storing { batch, .. }) = up.storing.remove(&id) else { return };
                let reply = Reply::Stored(stored);
                self.met_in_store(&Call::Store(batch), &reply);
                self.reply(life, id, "store", reply);
            }
        }
    }

    fn send(&mut self, life: Life, id: CallId, statement: Statement) {
        self.effects += 1;
        let number = self.effects;
        if self.dies_in_effect((life, number), "store", Stage::Issue) {
            return;
        }
        self.say(|| format!("{life:?} -> table {} {}", id.0, cut(&format!("{statement:?}"))));
        if let Some(known) = self.known_already(life, id, &statement) {
            return self.told(life, id, number, Ok(Told::Standing(known)));
        }
        let (issued, deadline) = (self.now, self.now + self.patience(Room::Store));
        let sent = Sent { life, id, number, statement, issued, deadline, answered: true };
        if self.struck(|kind| *kind == Kind::StoreRequestsLost).is_some() {
            return self.tell_by(deadline, &sent, Err(timed_out()));
        }
        let delay = self.travel(Room::Store);
        self.after(delay, Happening::Statement(Box::new(sent)));
    }

    /// A planted bug: what was written stands, and nobody looks.
    fn known_already(
        &mut self,
        life: Life,
        id: CallId,
        statement: &Statement,
    ) -> Option<Vec<Standing>> {
        if self.plan.plant != Some(Plant::WrittenStands) {
            return None;
        }
        let storing = self.running_mut(life)?.storing.get_mut(&id)?;
        match statement {
            Statement::Write(_, rows) => {
                storing.written.clone_from(rows);
                None
            }
            Statement::Standing(_) if storing.written.is_empty() => None,
            Statement::Standing(_) => {
                let written = std::mem::take(&mut storing.written).into_iter();
                Some(written.map(|(row, generation)| Standing { row, generation }).collect())
            }
        }
    }

    /// It arrives, or is held up once.
    pub fn statement(&mut self, mut sent: Sent) {
        if sent.answered
            && let Some(at) = self.held_until(&Kind::StoreSlow, sent.issued, sent.deadline)
        {
            if at > sent.deadline {
                self.tell_by(sent.deadline, &sent, Err(timed_out()));
                sent.answered = false;
            }
            return self.at(at, Happening::StatementLate(Box::new(sent)));
        }
        let dies = self.dies_in_effect((sent.life, sent.number), "store", Stage::Apply);
        let answer = self.execute(&sent.statement);
        if dies {
            return;
        }
        let back = self.now + self.travel(Room::Store);
        let is_lost = self.struck(|kind| *kind == Kind::StoreRepliesLost).is_some();
        match is_lost || back > sent.deadline {
            true => self.tell_by(sent.deadline, &sent, Err(timed_out())),
            false => self.tell_by(back, &sent, answer),
        }
    }

    /// After a delay that was drawn before.
    pub fn statement_late(&mut self, sent: &Sent) {
        let answer = self.execute(&sent.statement);
        let back = (self.now + self.travel(Room::Store)).min(sent.deadline.max(self.now));
        self.tell_by(back, sent, answer);
    }

    fn execute(&mut self, statement: &Statement) -> Answer {
        if self.is_down(&Kind::StoreDown) {
            return Err(StoreError::Transient("down".to_owned()));
        }
        match statement {
            Statement::Standing(ids) => {
                let standing = |id| {
                    let (row, generation) = self.store.standing(id)?;
                    Some(Standing { row: row.clone(), generation })
                };
                Ok(Told::Standing(ids.iter().filter_map(standing).collect()))
            }
            Statement::Write(token, rows) => {
                self.check_rule(rows.iter().map(|(row, _)| row))?;
                // The clock that ranks rows is taken not to go back (docs/guarantees.md), whatever befalls the others.
                let shown = std::mem::replace(&mut self.store.now, wall(self.now));
                let is_new = self.store.write(token, rows.iter().cloned());
                self.store.now = shown;
                let came_before = !self.blocks.insert(token.clone());
                if came_before {
                    self.oracle.meets(if is_new { Hole::BlockForgotten } else { Hole::BlockKnown });
                }
                let stands = |row: &Outcome| self.store.standing(&row.transaction_id);
                let lost = |row| stands(row).is_some_and(|(stands, _)| stands != row);
                if is_new && rows.iter().any(|(row, _)| lost(row)) {
                    self.oracle.meets(Hole::CameBetween);
                }
                Ok(Told::Written)
            }
        }
    }

    fn tell_by(&mut self, at: Micros, sent: &Sent, answer: Answer) {
        if sent.answered {
            let (life, id, number) = (sent.life, sent.id, sent.number);
            self.at(at, Happening::Told(life, id, number, Box::new(answer)));
        }
    }

    pub fn told(&mut self, life: Life, id: CallId, number: u64, answer: Answer) {
        if self.dies_in_effect((life, number), "store", Stage::Reply) {
            return;
        }
        self.say(|| format!("{life:?} <- table {} {}", id.0, cut(&format!("{answer:?}"))));
        if let Some(up) = self.running_mut(life)
            && let Some(storing) = up.storing.get_mut(&id)
        {
            storing.line.open().1 = Some(answer);
            self.go_on_storing(life, id);
        }
    }

    /// Its process stood still, and wakes: its own timer has come first.
    pub fn statement_thaws(&mut self, mut sent: Sent, held_max: Micros) {
        if sent.deadline < self.now {
            self.tell_by(self.now, &sent, Err(timed_out()));
            sent.answered = false;
        }
        if sent.issued + held_max >= self.now {
            self.at(self.now, Happening::Statement(Box::new(sent)));
        }
    }
}

/// What makes steps worth something: inserts that arrive when others have stored meanwhile.
pub fn slow(dice: &mut fastrand::Rng, shape: &Shape) -> Vec<Fault> {
    let one = |_| {
        let (at, lasting) = (dice.u64(..shape.load_ends), dice.u64(2 * S..=20 * S));
        Fault { at, lasting, chance: [20, 50][dice.usize(..2)], kind: Kind::StoreSlow }
    };
    (0..3).map(one).collect()
}

fn timed_out() -> StoreError {
    StoreError::Unknown("timeout".to_owned())
}
