//! How many entries there are, by what bounds them.

use super::entry::Entry;

#[derive(Debug, Default)]
pub struct Held {
    /// For any reason.
    pub all: usize,
    pub approved: usize,
    pub left_to_age: usize,
}

impl Held {
    pub(super) fn insert(&mut self, entry: &Entry) {
        self.all += 1;
        self.approved += usize::from(entry.is_approved());
        self.left_to_age += usize::from(entry.is_left_to_age());
    }

    /// It goes, or changes: then it is put in again.
    pub(super) fn remove(&mut self, entry: &Entry) {
        self.all -= 1;
        self.approved -= usize::from(entry.is_approved());
        self.left_to_age -= usize::from(entry.is_left_to_age());
    }
}
