//! A client whose end nobody waits for. The one that asks brokers has a thread that polls until a moment of the wall
//! clock, and its end waits for that thread: where the clock is set back by an hour meanwhile, for an hour.

use std::ops::Deref;
use std::thread;

/// Is dropped on a thread of its own.
pub(super) struct Detached<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Detached<T> {
    pub(super) fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Deref for Detached<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(client) => client,
            None => unreachable!("it is taken when this is dropped"),
        }
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        let Some(client) = self.0.take() else { return };
        // Without a thread it ends here, as soon as it can.
        thread::Builder::new().name("kafka-ends".into()).spawn(move || drop(client)).ok();
    }
}
