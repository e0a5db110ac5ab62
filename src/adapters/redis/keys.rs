//! Names of the keys in Redis. Nothing here talks to it.
//!
//! A partition's three keys share a hash tag, hence a cluster slot, so that one script may touch them all; the tag
//! holds the partition, so that partitions spread over the slots:
//! `{tollbridge:tollbridge:transactions:12}:temp`, `…:archive` and `…:epoch` for prefix, group, topic, partition.

use crate::domain::id::Partition;

/// The three keys of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub temp: String,
    pub archive: String,
    pub epoch: String,
}

/// What the keys of one group on one topic begin with.
#[derive(Debug, Clone)]
pub(super) struct KeySpace {
    head: String,
}

impl KeySpace {
    pub(super) fn new(prefix: &str, group: &str, topic: &str) -> Self {
        Self { head: format!("{{{}:{}:{}", plain(prefix), plain(group), plain(topic)) }
    }

    pub(super) fn of(&self, partition: Partition) -> Keys {
        let tag = format!("{}:{partition}}}", self.head);
        Keys {
            temp: format!("{tag}:temp"),
            archive: format!("{tag}:archive"),
            epoch: format!("{tag}:epoch"),
        }
    }
}

/// A group may be called anything: a brace would end the hash tag early, and a colon could make two groups' keys
/// alike. Both are written as in URLs, and so is the percent sign.
fn plain(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '%' => out.push_str("%25"),
            ':' => out.push_str("%3A"),
            '{' => out.push_str("%7B"),
            '}' => out.push_str("%7D"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temp(prefix: &str, group: &str, topic: &str, partition: i32) -> String {
        KeySpace::new(prefix, group, topic).of(Partition(partition)).temp
    }

    #[test]
    fn a_partitions_keys_share_a_tag_that_names_it() {
        let keys = KeySpace::new("tollbridge", "payments", "transactions").of(Partition(12));
        assert_eq!(keys.temp, "{tollbridge:payments:transactions:12}:temp");
        assert_eq!(keys.archive, "{tollbridge:payments:transactions:12}:archive");
        assert_eq!(keys.epoch, "{tollbridge:payments:transactions:12}:epoch");
    }

    #[test]
    fn names_can_not_be_confused() {
        assert_ne!(temp("a:b", "c", "t", 1), temp("a", "b:c", "t", 1));
        assert_ne!(temp("a", "b%3Ac", "t", 1), temp("a", "b:c", "t", 1));
        assert_eq!(temp("p", "g}{", "t", 1), "{p:g%7D%7B:t:1}:temp");
    }
}
