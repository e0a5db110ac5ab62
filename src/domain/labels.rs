//! A transaction's metadata: a few names, each with a text.

use std::ops::Deref;

/// In the order of names, each name once. A slice rather than a tree: one of those takes half a kilobyte for a single
/// name, in every transaction that is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Box<[(String, String)]>);

impl Labels {
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
        self.0.get(found).map(|(_, text)| text.as_str())
    }
}

impl Deref for Labels {
    type Target = [(String, String)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a (String, String);
    type IntoIter = std::slice::Iter<'a, (String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Of a name that comes twice, the later text.
impl FromIterator<(String, String)> for Labels {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.reverse();
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        pairs.dedup_by(|(name, _), (kept, _)| name == kept);
        Self(pairs.into())
    }
}

impl<const N: usize> From<[(String, String); N]> for Labels {
    fn from(pairs: [(String, String); N]) -> Self {
        pairs.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_what_a_map_would_be(
            pairs in prop::collection::vec(("[a-e]{0,2}", "[a-z]{0,2}"), 0..12), other in "[a-e]{0,2}",
        ) {
            let map: BTreeMap<String, String> = pairs.iter().cloned().collect();
            let labels: Labels = pairs.into_iter().collect();
            prop_assert_eq!(labels.len(), map.len());
            prop_assert_eq!(labels.is_empty(), map.is_empty());
            prop_assert_eq!(labels.get(&other), map.get(&other).map(String::as_str));
            prop_assert!(labels.iter().map(|(name, text)| (name, text)).eq(&map));
        }
    }
}
