//! What stands beside a committed offset is damaged, or is not ours: each such partition must be refused and left as it
//! is, and the others go on; once an operator has put the text back, so does it. The text is not understood here, but
//! for the place of its version.

use super::gone::{lengths, start_all, stop_all, told};
use super::{FATES, Fault, Seen, hold_some};
use crate::dice::Dice;
use crate::world::{World, holds_within};
use std::collections::BTreeSet;
use std::time::Duration;
use tollbridge_rig::kafka::Committed;
use tollbridge_rig::stack::GROUP;
use tollbridge_rig::{Direction, Error, Processor, Result};

/// Members that were killed are gone after their session.
const EMPTY_LIMIT: Duration = Duration::from_secs(30);
const TOLD_LIMIT: Duration = Duration::from_secs(40);
const WORK_LIMIT: Duration = Duration::from_secs(30);
/// In which calls pile up that are not answered.
const GATHERING: Duration = Duration::from_millis(500);
/// By how much the second character grows where the version in it grows by one.
const ONE_VERSION: u32 = 1 << 6;

/// Nobody runs while the text of one or two partitions becomes another.
pub const DAMAGE: Fault = Fault { name: "metadata-damaged", strike: damage };

/// Makes another text of a partition's own, or of all partitions'.
type Change = fn(&Committed, &[Committed]) -> Option<String>;

/// What becomes of a text, in turn.
const KINDS: [(&str, Change); 5] = [
    ("a flipped bit", |own, _| flipped(&own.metadata)),
    ("another program's text", |_, _| Some("{\"version\":1,\"source\":\"mirror\"}".to_owned())),
    ("a newer version's text", |own, _| newer(&own.metadata)),
    ("another offset's text", |own, all| {
        all.iter().find(|other| other.offset != own.offset).map(|other| other.metadata.clone())
    }),
    ("no text, as if set by hand", |_, _| Some(String::new())),
];

fn changed(text: &str, at: usize, change: impl Fn(u32) -> u32) -> Option<String> {
    let mut chars: Vec<char> = text.chars().collect();
    let one = chars.get_mut(at)?;
    *one = char::from_u32(change(u32::from(*one)))?;
    Some(chars.into_iter().collect())
}

fn flipped(text: &str) -> Option<String> {
    changed(text, text.chars().count() / 2, |c| c ^ 1)
}

fn newer(text: &str) -> Option<String> {
    changed(text, 1, |c| c + ONE_VERSION)
}

/// Some die, with what they had begun; some end in order.
fn end_all(world: &World, dice: &mut Dice) {
    let link = &world.links().gateway;
    if dice.once_in(2) {
        hold_some(link, Direction::ToClient);
        std::thread::sleep(GATHERING);
        world.processors.iter().for_each(Processor::kill);
        link.sever();
        link.pass();
    } else {
        stop_all(world);
    }
}

/// Waits until the group has no member, since before that the broker takes no offset from anybody else.
fn commit(world: &World, offsets: &[Committed]) -> Result<()> {
    let mut last = Ok(());
    let taken = holds_within(EMPTY_LIMIT, || {
        last = world.stack.kafka.commit_offsets(GROUP, offsets);
        last.is_ok()
    });
    if taken { Ok(()) } else { last }
}

/// Of these partitions.
fn only(all: &[Committed], partitions: &BTreeSet<i32>) -> Vec<Committed> {
    all.iter().filter(|c| partitions.contains(&c.partition)).cloned().collect()
}

fn damage(world: &World, dice: &mut Dice) -> Result<Seen> {
    let kafka = &world.stack.kafka;
    end_all(world, dice);
    let before = kafka.committed(GROUP)?;
    if before.is_empty() {
        // The first claims had not been committed yet.
        start_all(world, &[])?;
        return Ok(None);
    }
    let (kind, change) = KINDS[world.turn() % KINDS.len()];
    let first = dice.below(before.len());
    let count = 1 + dice.below(2);
    let mut bad = Vec::new();
    for committed in before.iter().cycle().skip(first).take(count) {
        let metadata = change(committed, &before);
        let none = || Error::new(format!("{committed:?} can't become {kind}"));
        bad.push(Committed { metadata: metadata.ok_or_else(none)?, ..committed.clone() });
    }
    let victims: BTreeSet<i32> = bad.iter().map(|committed| committed.partition).collect();
    commit(world, &bad)?;
    let since = lengths(world);
    start_all(world, &[])?;
    let all_told = holds_within(TOLD_LIMIT, || told(world, &since) == victims);
    let said = told(world, &since);
    if !all_told {
        world.breach(format!("I3: {victims:?} have {kind}, and {said:?} were told of"));
    }
    let others = world.shows(FATES, WORK_LIMIT);
    if !others {
        world.breach(format!("I7: with {victims:?} refused, nothing else goes on"));
    }
    dice.pause(0, 3_000);
    stop_all(world);
    let after = only(&kafka.committed(GROUP)?, &victims);
    bad.sort_by_key(|committed| committed.partition);
    if after != bad {
        world.breach(format!("I5: {bad:?} was refused, and became {after:?}"));
    }
    commit(world, &only(&before, &victims))?;
    start_all(world, &[])?;
    if !world.settles() {
        return Err(Error::new("the processors did not share the partitions once all was mended"));
    }
    let seen = || format!("{kind}: {victims:?} were refused, others went on");
    Ok((others && all_told).then(seen))
}

#[cfg(test)]
mod tests {
    use super::{flipped, newer};

    #[test]
    fn one_character_changes() {
        // Magic 54 B1, version 1, flags 2: of the bits, fifteen a character.
        let text = "\u{6858}\u{7e40}\u{3400}\u{3401}";
        assert_eq!(flipped(text).as_deref(), Some("\u{6858}\u{7e40}\u{3401}\u{3401}"));
        assert_eq!(newer(text).as_deref(), Some("\u{6858}\u{7e80}\u{3400}\u{3401}"));
        assert_eq!(newer(""), None);
    }
}
