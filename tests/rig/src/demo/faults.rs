//! What goes wrong in the demo: the gateway's faults, and the two blows. A blow falls only on live work: it
//! waits until there is some, and fails where there is none.

use std::fmt;
use std::time::{Duration, Instant};
use tollbridge_rig::stack::{GROUP, TRANSACTIONS};
use tollbridge_rig::{Error, Processor, Reply, Result, Stack};

/// Live work must turn up within this time of an instant.
const STRIKE_LIMIT: Duration = Duration::from_secs(5);

/// 3 % declines, 1 % charged and never answered, 0.5 % HTTP 500 (half of them after charging).
pub(super) fn script(seed: u64) -> String {
    let faults = [
        ("decline", "rate = 0.03"),
        ("timeout-after", "rate = 0.01"),
        ("error-before", "rate = 0.0025\nstatus = 500"),
        ("error-after", "rate = 0.0025\nstatus = 500"),
    ];
    let mut text = format!("seed = {seed}\n");
    for (kind, rest) in faults {
        text += &format!("[[fault]]\nkind = \"{kind}\"\n{rest}\n");
    }
    text
}

/// What was seen at the instant of a blow.
#[derive(Debug)]
pub(super) struct Blow {
    what: String,
    in_flight: u64,
    temp: i64,
    archive: i64,
}

impl Blow {
    fn hits_live_work(&self) -> bool {
        self.in_flight > 0 && self.temp > 0 && self.archive > 0
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, in_flight, temp, archive } = self;
        write!(f, "{what}: {in_flight} calls in flight, {temp} in temp, {archive} in archive")
    }
}

/// SIGKILL to a processor. It is frozen first, so that what its queues hold is counted at that instant.
pub(super) fn kill(stack: &Stack, victim: &Processor) -> Result<Blow> {
    let pid = victim.pid().ok_or_else(|| Error::new(format!("{} does not run", victim.name)))?;
    let what = format!("SIGKILL to {} (pid {pid})", victim.name);
    strike(|| {
        let members = stack.kafka.members(GROUP)?;
        let member =
            members.iter().find(|member| member.instance_id.as_deref() == Some(&victim.name));
        let owns = member.map(|member| member.owns.as_slice()).unwrap_or_default();
        let in_flight = victim.in_flight();
        victim.pause()?;
        let (mut temp, mut archive) = (0, 0);
        for (_, partition) in owns {
            temp += depth(stack, *partition, "temp")?;
            archive += depth(stack, *partition, "archive")?;
        }
        let blow = Blow { what: what.clone(), in_flight, temp, archive };
        if blow.hits_live_work() {
            victim.kill();
        } else {
            victim.resume()?;
        }
        Ok(blow)
    })
}

/// FLUSHALL. One script counts and wipes, so that nothing can change in between.
pub(super) fn wipe_redis(stack: &Stack, working: &Processor) -> Result<Blow> {
    const SCRIPT: &str = "local temp, archive = 0, 0 \
        for _, key in ipairs(redis.call('KEYS', '*:temp')) do temp = temp + redis.call('HLEN', key) end \
        for _, key in ipairs(redis.call('KEYS', '*:archive')) do archive = archive + redis.call('HLEN', key) end \
        if temp > 0 and archive > 0 then redis.call('FLUSHALL') end \
        return {temp, archive}";
    let what = format!("FLUSHALL while {} works", working.name);
    strike(|| {
        let in_flight = working.in_flight();
        let blow = |temp, archive| Blow { what: what.clone(), in_flight, temp, archive };
        if in_flight == 0 {
            return Ok(blow(0, 0));
        }
        match stack.redis.command(&["EVAL", SCRIPT, "0"])? {
            Reply::Array(counts) if counts.len() == 2 => {
                Ok(blow(counts[0].integer().unwrap_or(0), counts[1].integer().unwrap_or(0)))
            }
            other => Err(Error::new(format!("Redis answered the wiping script with {other:?}"))),
        }
    })
}

fn strike(mut attempt: impl FnMut() -> Result<Blow>) -> Result<Blow> {
    let start = Instant::now();
    loop {
        let blow = attempt()?;
        if blow.hits_live_work() {
            return Ok(blow);
        }
        if start.elapsed() > STRIKE_LIMIT {
            return Err(Error::new(format!("no live work to strike within five seconds; {blow}")));
        }
        // Not in step with the route's own periods, or it would always look at the same moment of them.
        std::thread::sleep(Duration::from_millis(7));
    }
}

/// Entries of a partition's queue.
fn depth(stack: &Stack, partition: i32, queue: &str) -> Result<i64> {
    let key = format!("{{tollbridge:{GROUP}:{TRANSACTIONS}:{partition}}}:{queue}");
    Ok(stack.redis.command(&["HLEN", &key])?.integer().unwrap_or(0))
}
