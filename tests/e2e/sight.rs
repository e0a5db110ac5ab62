//! What a test sees of the whole from outside: queue depths in Redis and each command that changed them, requests and
//! charges in the gateway's files, rows in the store, events on Kafka; and all of it held against the promise.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tollbridge_rig::oracle::{self, Charge, Evidence, Outcome};
use tollbridge_rig::{Launch, TempDir, shared_postgres};

use crate::topics::Read;
use crate::world::{LIMIT, World};

/// An event on one of the three outcome topics.
#[derive(Debug, Clone)]
pub struct Event {
    pub fate: String,
    pub id: String,
    pub code: String,
    pub partition: i32,
    pub offset: i64,
    pub read: Read,
}

impl Event {
    /// Whether it ends a doubt that was told before.
    pub fn is_resolution(&self) -> bool {
        !self.read.header("tollbridge-resolves").is_empty()
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: String,
    pub fate: String,
    pub code: String,
    pub partition: i32,
    pub offset: i64,
}

/// A request for a charge, as the gateway saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub at_us: i64,
    pub body_sha256: String,
}

/// Waits until it holds. A look that takes its time, such as at a database, is made less often.
#[track_caller]
pub fn wait(what: &str, condition: impl FnMut() -> bool) {
    let held = holds_within(LIMIT, condition);
    assert!(held, "waited {LIMIT:?} in vain for {what}");
}

/// That it holds now, and goes on holding for a while.
#[track_caller]
pub fn stays(what: &str, time: Duration, mut condition: impl FnMut() -> bool) {
    assert!(!holds_within(time, || !condition()), "{what} did not stay so");
}

/// Whether it comes to hold in that time.
#[expect(clippy::disallowed_methods, reason = "the tests' own stopwatch")]
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        let look = Instant::now();
        if condition() {
            return true;
        }
        if began.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(look.elapsed().max(Duration::from_millis(10)));
    }
}

fn attempt(line: &Value) -> Attempt {
    Attempt {
        at_us: line["at"].as_i64().unwrap(),
        body_sha256: line["body_sha256"].as_str().unwrap().to_owned(),
    }
}

impl World {
    /// Entries in the temp queue and in the archive queue, over all partitions.
    pub fn depths(&self) -> (i64, i64) {
        let depth = |which| {
            (0..self.partitions())
                .map(|p| self.redis().command(&["HLEN", &self.key(p, which)]).unwrap())
                .map(|reply| reply.integer().unwrap())
                .sum()
        };
        (depth("temp"), depth("archive"))
    }

    fn attempt_lines(&self) -> Vec<Value> {
        lines(&self.folder.join("ledger.jsonl.attempts"))
    }

    /// Every request for a charge under this key.
    pub fn attempts(&self, id: &str) -> Vec<Attempt> {
        self.attempt_lines().iter().filter(|line| line["key"] == id).map(attempt).collect()
    }

    /// Every request for a charge.
    pub fn all_attempts(&self) -> Vec<Attempt> {
        self.attempt_lines().iter().map(attempt).collect()
    }

    /// How many requests for charges there were, whose keys begin so.
    pub fn attempts_of(&self, prefix: &str) -> usize {
        let lines = self.attempt_lines();
        lines.iter().filter(|line| line["key"].as_str().unwrap().starts_with(prefix)).count()
    }

    pub fn charges(&self) -> Vec<Charge> {
        lines(&self.ledger()).iter().filter_map(|line| oracle::charge(line).unwrap()).collect()
    }

    /// How often an id was charged.
    pub fn charged(&self, id: &str) -> usize {
        self.charges().iter().filter(|charge| charge.id == id).count()
    }

    /// Asks the database; a row a line, columns parted by `|`.
    pub fn sql(&self, query: &str) -> String {
        if self.plan.postgres {
            return shared_postgres().psql_at(&self.store_url, query).unwrap();
        }
        let output = TempDir::new("sqlite3").unwrap();
        let file = output.join("stdout");
        Launch::new("sqlite3")
            .args(["-readonly", "-cmd", ".timeout 5000", "-separator", "|"])
            .arg(self.folder.join("rows.db"))
            .arg(query)
            .stdout(&file)
            .run(LIMIT)
            .unwrap();
        std::fs::read_to_string(file).unwrap().trim_end().to_owned()
    }

    pub fn rows(&self) -> Vec<Row> {
        let table = self.sql(
            "SELECT transaction_id, fate, coalesce(code, ''), source_partition, source_offset \
             FROM transactions ORDER BY source_partition, source_offset",
        );
        let row = |line: &str| {
            let fields: Vec<&str> = line.split('|').collect();
            Row {
                id: fields[0].into(),
                fate: fields[1].into(),
                code: fields[2].into(),
                partition: fields[3].parse().unwrap(),
                offset: fields[4].parse().unwrap(),
            }
        };
        table.lines().map(row).collect()
    }

    /// How many rows have ids that begin so.
    pub fn rows_of(&self, prefix: &str) -> usize {
        self.rows().iter().filter(|row| row.id.starts_with(prefix)).count()
    }

    /// All events, in the order of their source places.
    pub fn events(&self) -> Vec<Event> {
        let read = self.read(&["archived", "declined", "dead_letter"]);
        let mut events: Vec<Event> = read.into_iter().map(event).collect();
        events.sort_by_key(|event| (event.partition, event.offset));
        events
    }

    /// The events of an id.
    pub fn events_of(&self, id: &str) -> Vec<Event> {
        self.events().into_iter().filter(|event| event.id == id).collect()
    }

    /// Fates and codes of an id, in order.
    pub fn fates(&self, id: &str) -> Vec<String> {
        self.events_of(id).into_iter().map(|event| event.fate).collect()
    }

    /// The alerts of a rule: `raised` or `cleared`, with all that they say.
    pub fn alerts(&self, rule: &str) -> Vec<Value> {
        let all = self.read(&["alerts"]);
        let all = all.iter().map(|alert| serde_json::from_slice::<Value>(&alert.value).unwrap());
        all.filter(|alert| alert["rule"] == rule).collect()
    }

    /// Whether the group has committed the end of every partition.
    pub fn is_done(&self) -> bool {
        let topic = self.topic("transactions");
        let ends = self.kafka().end_offsets(&topic, self.partitions()).unwrap();
        let done = self.kafka().group_offsets(&self.group(), &topic, self.partitions()).unwrap();
        ends == done
    }

    /// Waits until every record has a fate on Kafka and nothing is left in Redis.
    #[track_caller]
    pub fn wait_done(&self) {
        wait("the group to reach the end", || self.is_done());
        wait("empty queues", || self.depths() == (0, 0));
    }

    /// Holds everything against the promise. For a run that is over.
    #[track_caller]
    pub fn balance(&self) {
        let source = self.read(&["transactions"]);
        let amount = |read: &Read| outcome_of(&read.value)["amount"].as_i64().unwrap_or(0);
        let outcome = |event: &Event| {
            let is_dead = event.read.topic == self.topic("dead_letter");
            let (amount, currency) = if is_dead { (0, "") } else { (amount(&event.read), "EUR") };
            let (place, currency) = ((event.partition, event.offset), currency.to_owned());
            let (fate, id) = (event.fate.clone(), event.id.clone());
            Outcome { place, fate, id, amount, currency }
        };
        let row = |line: &str| oracle::row(line).unwrap();
        let evidence = Evidence {
            places: source.iter().map(|read| (read.partition, read.offset)).collect(),
            events: self.events().iter().filter(|e| !e.is_resolution()).map(outcome).collect(),
            rows: self.sql(oracle::ROWS).lines().map(row).collect(),
            charges: self.charges(),
        };
        assert!(!evidence.places.is_empty());
        evidence.judge().unwrap_or_else(|error| panic!("{error}"));
    }
}

fn event(read: Read) -> Event {
    let fate = read.header("tollbridge-fate").to_owned();
    if read.topic.ends_with("dead_letter") {
        let number = |name: &str| read.header(name).parse::<i64>().unwrap();
        return Event {
            fate,
            id: read.header("tollbridge-transaction-id").to_owned(),
            code: read.header("tollbridge-code").to_owned(),
            partition: i32::try_from(number("__connect.errors.partition")).unwrap(),
            offset: number("__connect.errors.offset"),
            read,
        };
    }
    let value = outcome_of(&read.value);
    let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
    Event {
        fate: text("fate"),
        id: text("transaction_id"),
        code: text("code"),
        partition: i32::try_from(value["source_partition"].as_i64().unwrap()).unwrap(),
        offset: value["source_offset"].as_i64().unwrap(),
        read,
    }
}

/// As JSON, also where it stands in a Confluent frame.
fn outcome_of(value: &[u8]) -> Value {
    let [0, _, _, _, _, datum @ ..] = value else { return serde_json::from_slice(value).unwrap() };
    let schema = apache_avro::Schema::parse_str(tollbridge::wire::outcome::OUTCOME_AVSC).unwrap();
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().unwrap();
    let value = reader.read_value(&mut std::io::Cursor::new(datum)).unwrap();
    value.try_into().unwrap()
}

fn lines(file: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // A line that is being written now has no end yet.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl World {
    /// Locks the table of rows against writing; for a store that is PostgreSQL.
    pub fn lock_table(&self) {
        let sql = "BEGIN; LOCK TABLE transactions IN EXCLUSIVE MODE; SELECT pg_sleep(600)";
        let session = shared_postgres().session_at(&self.store_url, sql).unwrap();
        let held = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'ExclusiveLock' \
                    AND relation = 'transactions'::regclass";
        wait("the lock", || self.sql(held) == "1");
        // Without its client the server goes on sleeping.
        session.kill();
    }

    /// Ends that session, and with it the lock.
    pub fn unlock_table(&self) {
        self.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE '%pg_sleep(600)' \
             AND pid <> pg_backend_pid()",
        );
    }
}

/// A command: when, in milliseconds since 1970, and its words.
struct Seen {
    at_ms: i64,
    words: Vec<String>,
}

/// Every command that Redis carries out on the keys of a world, in order (MONITOR).
pub struct Monitor {
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Monitor {
    pub fn of(world: &World) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", world.redis().port())).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim_end(), "+OK");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (into, mark) = (Arc::clone(&seen), format!(":{}:", world.topic("transactions")));
        std::thread::spawn(move || {
            for line in reader.lines() {
                let Ok(line) = line else { return };
                if line.contains(&mark) && line.contains(" lua]") {
                    let words = line.split_once(" \"").map(|(_, words)| words).unwrap_or_default();
                    let words = words.trim_end_matches('"').split("\" \"").map(str::to_owned);
                    let at: f64 =
                        line.trim_start_matches('+').split(' ').next().unwrap().parse().unwrap();
                    let at_ms = format!("{:.0}", at * 1000.0).parse().unwrap();
                    into.lock().unwrap().push(Seen { at_ms, words: words.collect() });
                }
            }
        });
        Self { seen }
    }

    /// When a command of this name was first carried out, in milliseconds since 1970.
    pub fn first_ms(&self, name: &str) -> i64 {
        let seen = self.seen.lock().unwrap();
        let first = seen.iter().find(|seen| seen.words[0] == name);
        first.unwrap_or_else(|| panic!("there was no {name}")).at_ms
    }

    /// What was done with an id by scripts: `HSET temp`, `HDEL archive` and so on, in order. Reading is left out.
    pub fn moves(&self, id: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let of = seen.iter().map(|seen| &seen.words).filter(|words| {
            ["HSET", "HDEL"].contains(&words[0].as_str()) && words.iter().any(|word| word == id)
        });
        of.map(|words| {
            let key = words[1].rsplit(':').next().unwrap_or_default();
            format!("{} {key}", words[0])
        })
        .collect()
    }
}
