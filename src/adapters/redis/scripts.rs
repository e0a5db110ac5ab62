//! The Lua scripts, their hashes, and how entries become their arguments. What they do stands in `lua/`; what
//! their answers mean, in `answers.rs`.
//!
//! All but admission run when Redis is out of memory (`allow-oom`): they free it, or are needed to. A script with
//! a `#!lua` line and without the flag is refused by Redis 7 before it starts.

use redis::Cmd;

use super::keys::Keys;
use crate::domain::id::Epoch;
use crate::ports::queue::{Entry, EntryKey};

/// A script takes at most so many entries: Lua can hand over some 8,000 arguments, and Redis serves nobody else
/// while one runs.
pub(super) const ENTRIES_PER_SCRIPT_MAX: usize = 500;
/// A script takes at most so many bytes of bodies, unless a single one is bigger.
pub(super) const BYTES_PER_SCRIPT_MAX: usize = 4 << 20;
/// So many entries are looked at in one step of a scan.
pub(super) const ENTRIES_PER_PAGE: usize = 500;

#[derive(Debug)]
pub(super) struct Script {
    source: &'static str,
    hash: String,
}

#[derive(Debug)]
pub(super) struct Scripts {
    pub claim: Script,
    pub admit: Script,
    pub settle: Script,
    pub mark: Script,
    pub remove: Script,
    pub missing: Script,
    pub scan: Script,
    pub rights: Script,
}

macro_rules! script {
    ($flags:literal $(, $file:literal)+) => {
        Script::new(concat!("#!lua", $flags, "\n" $(, include_str!($file))+))
    };
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            claim: script!(" flags=allow-oom", "lua/claim.lua"),
            admit: script!("", "lua/epoch.lua", "lua/admit.lua"),
            settle: script!(" flags=allow-oom", "lua/epoch.lua", "lua/settle.lua"),
            mark: script!(" flags=allow-oom", "lua/epoch.lua", "lua/mark.lua"),
            remove: script!(" flags=allow-oom", "lua/epoch.lua", "lua/remove.lua"),
            missing: script!(" flags=no-writes", "lua/epoch.lua", "lua/missing.lua"),
            scan: script!(" flags=no-writes", "lua/scan.lua"),
            rights: script!(" flags=no-writes", "lua/rights.lua"),
        }
    }
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self { source, hash: redis::Script::new(source).get_hash().to_owned() }
    }

    /// Calls the script by its hash; Redis answers NOSCRIPT where it doesn't know it.
    pub(super) fn by_hash(&self, call: &impl Call) -> Cmd {
        let mut cmd = call.sized();
        cmd.arg("EVALSHA").arg(&self.hash);
        call.fill(&mut cmd);
        cmd
    }

    /// Sends the script along; Redis knows it from then on.
    pub(super) fn in_full(&self, call: &impl Call) -> Cmd {
        let mut cmd = call.sized();
        cmd.arg("EVAL").arg(self.source);
        call.fill(&mut cmd);
        cmd
    }
}

/// The keys and arguments of a call.
pub(super) trait Call: Sync {
    fn sized(&self) -> Cmd;
    fn fill(&self, cmd: &mut Cmd);
}

/// A call to `claim.lua`.
pub(super) struct Claim<'a> {
    pub keys: &'a Keys,
    pub epoch: Epoch,
}

impl Call for Claim<'_> {
    fn sized(&self) -> Cmd {
        Cmd::new()
    }

    fn fill(&self, cmd: &mut Cmd) {
        put_keys(cmd, self.keys);
        cmd.arg(self.epoch.0);
    }
}

/// A call to `scan.lua`.
pub(super) struct Scan<'a> {
    pub hash: &'a str,
    pub cursor: u64,
}

impl Call for Scan<'_> {
    fn sized(&self) -> Cmd {
        Cmd::new()
    }

    fn fill(&self, cmd: &mut Cmd) {
        cmd.arg(1).arg(self.hash).arg(self.cursor).arg(ENTRIES_PER_PAGE);
    }
}

/// A call to `rights.lua`.
pub(super) struct Rights<'a> {
    pub keys: &'a Keys,
}

impl Call for Rights<'_> {
    fn sized(&self) -> Cmd {
        Cmd::new()
    }

    fn fill(&self, cmd: &mut Cmd) {
        put_keys(cmd, self.keys);
    }
}

/// A call to any other script, with its part of the entries.
pub(super) struct Lines<'a, L> {
    pub keys: &'a Keys,
    pub epoch: Epoch,
    pub lines: &'a [L],
}

impl<L: Line + Sync> Call for Lines<'_, L> {
    fn sized(&self) -> Cmd {
        let bytes: usize = self.lines.iter().map(|l| size(l) + 32).sum();
        Cmd::with_capacity(self.lines.len() * 2 + 8, bytes + 512)
    }

    fn fill(&self, cmd: &mut Cmd) {
        put_keys(cmd, self.keys);
        cmd.arg(self.epoch.0);
        for line in self.lines {
            cmd.arg(line.key().id.as_str());
        }
        let mut value = Vec::new();
        for line in self.lines {
            value.clear();
            value.extend_from_slice(&line.key().offset.0.to_be_bytes());
            value.extend_from_slice(line.body());
            cmd.arg(value.as_slice());
        }
    }
}

fn put_keys(cmd: &mut Cmd, keys: &Keys) {
    cmd.arg(3).arg(&keys.temp).arg(&keys.archive).arg(&keys.epoch);
}

/// What can stand in a call: an entry, or its name alone.
pub(super) trait Line {
    fn key(&self) -> &EntryKey;
    fn body(&self) -> &[u8];
}

impl Line for Entry {
    fn key(&self) -> &EntryKey {
        &self.key
    }
    fn body(&self) -> &[u8] {
        &self.body
    }
}

impl Line for EntryKey {
    fn key(&self) -> &EntryKey {
        self
    }
    fn body(&self) -> &[u8] {
        &[]
    }
}

fn size(line: &impl Line) -> usize {
    line.key().id.as_str().len() + 8 + line.body().len()
}

/// Cuts lines into parts that are small enough for one script each, in order.
pub(super) fn parts<L: Line>(lines: &[L]) -> Vec<&[L]> {
    let mut parts = Vec::with_capacity(lines.len() / ENTRIES_PER_SCRIPT_MAX + 1);
    let (mut start, mut bytes) = (0, 0);
    for (i, line) in lines.iter().enumerate() {
        let more = size(line);
        let full = i - start == ENTRIES_PER_SCRIPT_MAX || bytes + more > BYTES_PER_SCRIPT_MAX;
        if full && i > start {
            parts.push(&lines[start..i]);
            (start, bytes) = (i, 0);
        }
        bytes += more;
    }
    if start < lines.len() {
        parts.push(&lines[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::id::{Offset, TransactionId};

    fn entry(body: usize) -> Entry {
        let key = EntryKey { id: TransactionId::parse("a").unwrap(), offset: Offset(1) };
        Entry { key, body: Bytes::from(vec![0; body]) }
    }

    fn lengths(lines: &[Entry]) -> Vec<usize> {
        parts(lines).iter().map(|p| p.len()).collect()
    }

    #[test]
    fn parts_are_bounded_by_count_and_by_size() {
        assert_eq!(lengths(&[]), Vec::<usize>::new());
        assert_eq!(lengths(&vec![entry(1); 500]), [500]);
        assert_eq!(lengths(&vec![entry(1); 1001]), [500, 500, 1]);
        let half = entry(BYTES_PER_SCRIPT_MAX / 2);
        let huge = entry(BYTES_PER_SCRIPT_MAX * 2);
        assert_eq!(lengths(&[half.clone(), half.clone(), half.clone()]), [1, 1, 1]);
        assert_eq!(lengths(&[huge.clone(), entry(1), huge]), [1, 1, 1]);
    }

    #[test]
    fn only_admission_stops_when_memory_is_full() {
        let s = Scripts::new();
        assert!(s.admit.source.starts_with("#!lua\n"));
        for other in [&s.claim, &s.settle, &s.mark, &s.remove] {
            assert!(other.source.starts_with("#!lua flags=allow-oom\n"), "{}", other.source);
        }
        for reader in [&s.missing, &s.scan, &s.rights] {
            assert!(reader.source.starts_with("#!lua flags=no-writes\n"), "{}", reader.source);
        }
    }
}
