//! Maps and sets whose keys are counted up: offsets of a partition, numbers of calls. They come in rising order and
//! leave in nearly the same, so that a key's distance from the first one says where it stands. Not for keys in any
//! order: what comes in below others shifts them.

use std::collections::VecDeque;

use super::id::Offset;

/// What is counted up.
pub trait Counted: Copy + Ord {
    /// How far it is above `first`, which is not above it.
    fn above(self, first: Self) -> usize;
}

impl Counted for Offset {
    fn above(self, first: Self) -> usize {
        usize::try_from(self.0 - first.0).unwrap_or(usize::MAX)
    }
}

/// A map in the order of its keys. What leaves from within leaves its cell behind until half of the cells are empty;
/// the first and the last cell are never empty.
#[derive(Debug, Clone)]
pub struct Window<K, T> {
    cells: VecDeque<(K, Option<T>)>,
    len: usize,
}

impl<K, T> Default for Window<K, T> {
    fn default() -> Self {
        Self { cells: VecDeque::new(), len: 0 }
    }
}

/// Below this number of cells empty ones are left where they are.
const CELLS_MIN: usize = 32;

impl<K: Counted, T> Window<K, T> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[must_use]
    pub fn get(&self, key: &K) -> Option<&T> {
        self.cells[self.find(*key).ok()?].1.as_ref()
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut T> {
        let at = self.find(*key).ok()?;
        self.cells[at].1.as_mut()
    }

    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    #[must_use]
    pub fn first_key(&self) -> Option<K> {
        self.cells.front().map(|(key, _)| *key)
    }

    /// Returns what stood there before.
    pub fn insert(&mut self, key: K, value: T) -> Option<T> {
        let before = match self.find(key) {
            Ok(at) => self.cells[at].1.replace(value),
            Err(at) => {
                self.cells.insert(at, (key, Some(value)));
                None
            }
        };
        self.len += usize::from(before.is_none());
        before
    }

    pub fn remove(&mut self, key: &K) -> Option<T> {
        let at = self.find(*key).ok()?;
        let value = self.cells[at].1.take()?;
        self.len -= 1;
        while self.cells.front().is_some_and(|(_, value)| value.is_none()) {
            self.cells.pop_front();
        }
        while self.cells.back().is_some_and(|(_, value)| value.is_none()) {
            self.cells.pop_back();
        }
        if self.cells.len() > CELLS_MIN.max(self.len * 2) {
            self.cells.retain(|(_, value)| value.is_some());
        }
        Some(value)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.cells.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?)))
    }

    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, value)| value)
    }

    /// Those at or above a key.
    pub fn from(&self, key: K) -> impl Iterator<Item = (K, &T)> {
        let (Ok(at) | Err(at)) = self.find(key);
        self.cells.range(at..).filter_map(|(key, value)| Some((*key, value.as_ref()?)))
    }

    /// Where the key's cell is, or would have to be put in.
    fn find(&self, key: K) -> Result<usize, usize> {
        let (Some((first, _)), Some((last, _))) = (self.cells.front(), self.cells.back()) else {
            return Err(0);
        };
        if key < *first {
            return Err(0);
        }
        if key > *last {
            return Err(self.cells.len());
        }
        // Keys are whole numbers, each once: there are at most as many cells between two as their distance.
        let end = self.cells.len() - 1;
        let mut low = end.saturating_sub(last.above(key));
        let mut high = end.min(key.above(*first));
        while low < high {
            let middle = low.midpoint(high);
            if self.cells[middle].0 < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if self.cells[low].0 == key { Ok(low) } else { Err(low) }
    }
}

/// A set of offsets in their order.
#[derive(Debug, Clone, Default)]
pub struct Offsets(Window<Offset, ()>);

impl Offsets {
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn first(&self) -> Option<Offset> {
        self.0.first_key()
    }

    pub fn pop_first(&mut self) -> Option<Offset> {
        let first = self.0.first_key()?;
        self.0.remove(&first);
        Some(first)
    }

    /// `true` where it was not there.
    pub fn insert(&mut self, offset: Offset) -> bool {
        self.0.insert(offset, ()).is_none()
    }

    #[must_use]
    pub fn contains(&self, offset: Offset) -> bool {
        self.0.contains_key(&offset)
    }

    /// `true` where it was there.
    pub fn remove(&mut self, offset: Offset) -> bool {
        self.0.remove(&offset).is_some()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn iter(&self) -> impl Iterator<Item = Offset> {
        self.0.keys()
    }

    /// Those at or above an offset.
    pub fn from(&self, offset: Offset) -> impl Iterator<Item = Offset> {
        self.0.from(offset).map(|(offset, ())| offset)
    }
}

impl FromIterator<Offset> for Offsets {
    fn from_iter<I: IntoIterator<Item = Offset>>(offsets: I) -> Self {
        let mut all = Self::default();
        all.extend(offsets);
        all
    }
}

impl Extend<Offset> for Offsets {
    fn extend<I: IntoIterator<Item = Offset>>(&mut self, offsets: I) {
        for offset in offsets {
            self.insert(offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Offset, Offsets, Window};

    /// Whatever is done to it, it is what a tree would be.
    #[test]
    fn a_window_is_a_map_in_order() {
        let mut dice = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let (mut window, mut tree) = (Window::default(), BTreeMap::new());
            let (span, mut next) = (dice.i64(1..200), 0);
            for step in 0..400 {
                next += dice.i64(0..4);
                let key =
                    Offset(if dice.bool() { next } else { (next - dice.i64(0..span)).max(-3) });
                match dice.u8(0..5) {
                    0..=1 => assert_eq!(window.insert(key, step), tree.insert(key, step)),
                    2..=3 => assert_eq!(window.remove(&key), tree.remove(&key)),
                    _ => {
                        let first = window.first_key();
                        assert_eq!(first, tree.keys().next().copied());
                        let _ = first.map(|first| (window.remove(&first), tree.remove(&first)));
                    }
                }
                assert_eq!(window.get(&key), tree.get(&key));
                assert_eq!(window.get_mut(&key), tree.get_mut(&key));
                assert_eq!((window.len(), window.is_empty()), (tree.len(), tree.is_empty()));
                assert!(window.iter().eq(tree.iter().map(|(key, value)| (*key, value))));
                assert!(
                    window.from(key).map(|(key, _)| key).eq(tree.range(key..).map(|(k, _)| *k))
                );
            }
        }
    }

    #[test]
    fn what_has_left_takes_no_room() {
        let mut window = Window::default();
        for key in 0..100_000 {
            window.insert(Offset(key), ());
            // The first one stays for ever.
            if key > 10 {
                window.remove(&Offset(key - 10));
            }
        }
        assert_eq!(window.len(), 11);
        assert!(window.cells.len() <= 32, "{}", window.cells.len());
    }

    #[test]
    fn a_set_gives_its_offsets_in_order() {
        let mut set = Offsets::default();
        set.extend([5, 3, 9, 4, 3].map(Offset));
        assert!(set.remove(Offset(4)) && !set.remove(Offset(4)));
        assert!(set.from(Offset(4)).eq([Offset(5), Offset(9)]));
        assert_eq!(
            (set.pop_first(), set.first(), set.len()),
            (Some(Offset(3)), Some(Offset(5)), 2)
        );
        set.clear();
        assert!(set.is_empty() && set.iter().next().is_none());
    }
}
