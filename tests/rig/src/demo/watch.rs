//! Where everything is, once a second on a line. It looks at Kafka, Redis and the ledger itself and believes
//! no counter of the processors, except for the calls in flight.

use super::LOOK_EVERY;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::{Duration, Instant};
use tollbridge_rig::stack::{TRANSACTIONS, backlog};
use tollbridge_rig::{Error, Processor, Reply, Result, Stack};

const PRINT_EVERY: Duration = Duration::from_secs(1);

/// One look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sight {
    /// Records on the source topic.
    pub(super) produced: i64,
    /// Records at or above the committed watermark.
    pub(super) backlog: i64,
}

/// The eyes of the demo.
pub(super) struct Watch<'a> {
    stack: &'a Stack,
    processors: &'a [Processor; 2],
    start: Instant,
    printed: Option<Instant>,
    ledger: Ledger,
}

impl<'a> Watch<'a> {
    pub(super) fn new(stack: &'a Stack, processors: &'a [Processor; 2]) -> Self {
        let ledger = Ledger::default();
        Self { stack, processors, start: Instant::now(), printed: None, ledger }
    }

    /// Looks and prints until `done` gives something.
    pub(super) fn until<T>(
        &mut self,
        done: impl Fn(&Sight) -> Result<Option<T>>,
        limit: Duration,
        what: &str,
    ) -> Result<T> {
        let start = Instant::now();
        loop {
            for processor in self.processors {
                processor.check()?;
            }
            let kafka = &self.stack.kafka;
            let now = Sight {
                backlog: backlog(self.stack)?.iter().sum(),
                produced: kafka.end_offsets(TRANSACTIONS, self.stack.partitions())?.iter().sum(),
            };
            if self.printed.is_none_or(|at| at.elapsed() >= PRINT_EVERY) {
                self.print(&now)?;
                self.printed = Some(Instant::now());
            }
            if let Some(found) = done(&now)? {
                self.print(&now)?;
                return Ok(found);
            }
            if start.elapsed() > limit {
                let left = backlog(self.stack)?;
                let said = format!(
                    "waited {limit:?} in vain for {what}; backlog of each partition: {left:?}"
                );
                return Err(Error::new(said));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Entries of both queues, over all partitions.
    pub(super) fn queues(&self) -> Result<(i64, i64)> {
        const SCRIPT: &str = "local n = 0 for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
            n = n + redis.call('HLEN', key) end return n";
        let count = |pattern| match self.stack.redis.command(&["EVAL", SCRIPT, "0", pattern])? {
            Reply::Integer(count) => Ok(count),
            other => Err(Error::new(format!("Redis counts {other:?}"))),
        };
        Ok((count("*:temp")?, count("*:archive")?))
    }

    fn print(&mut self, now: &Sight) -> Result<()> {
        let (temp, archive) = self.queues()?;
        let in_flight: u64 = self.processors.iter().map(Processor::in_flight).sum();
        self.ledger.read_on(self.stack);
        let Ledger { charged, declined, .. } = self.ledger;
        println!(
            "{:5.1} s  produced {:>6}  finished {:>6}  waiting {:>5}  temp {temp:>4}  archive {archive:>4}  \
             in flight {in_flight:>3}  gateway: charged {charged:>6}, declined {declined:>4}",
            self.start.elapsed().as_secs_f64(),
            now.produced,
            now.produced - now.backlog,
            now.backlog,
        );
        Ok(())
    }
}

/// How far the gateway's ledger has been read.
#[derive(Debug, Default)]
struct Ledger {
    read: u64,
    rest: String,
    charged: u64,
    declined: u64,
}

impl Ledger {
    /// Counts the lines that were added; one that is half written waits for its end.
    fn read_on(&mut self, stack: &Stack) {
        let Ok(mut file) = File::open(stack.ledger()) else { return };
        let mut bytes = Vec::new();
        if file.seek(SeekFrom::Start(self.read)).is_err() || file.read_to_end(&mut bytes).is_err() {
            return;
        }
        self.read += u64::try_from(bytes.len()).unwrap_or(0);
        self.rest += &String::from_utf8_lossy(&bytes);
        let whole = self.rest.rfind('\n').map_or(0, |end| end + 1);
        let lines: String = self.rest.drain(..whole).collect();
        for line in lines.lines() {
            self.charged += u64::from(line.contains("\"outcome\":\"charged\""));
            self.declined += u64::from(line.contains("\"outcome\":\"declined\""));
        }
    }
}
