//! The way to one ClickHouse: so many statements at a time, each with its limit, over connections that are kept open.
//! After one that got no answer nothing goes over an old connection any more.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clickhouse::{Client, Compression};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::ports::store::StoreError;

use super::address::Address;
use super::errors;

/// What every statement is told. A batch is one block, and so one part: all of it or none.
const SETTINGS: [(&str, &str); 7] = [
    // An answer means that it is stored, not that it waits to be.
    ("async_insert", "0"),
    ("insert_deduplicate", "1"),
    ("input_format_parallel_parsing", "0"),
    ("max_insert_block_size", "1048449"),
    // Where nobody waits for an answer any more, no more is read for it.
    ("cancel_http_readonly_queries_on_client_close", "1"),
    // Ten thousand ids, which a question names one by one.
    ("max_query_size", "16777216"),
    // Times as they are, whatever the server's own zone.
    ("session_timezone", "UTC"),
];

#[derive(Clone)]
pub struct Connections {
    address: Arc<Address>,
    limit: Duration,
    slots: Arc<Semaphore>,
    client: Arc<Mutex<Client>>,
}

impl Connections {
    /// At most `max` statements at a time, each to be answered within `limit`.
    pub fn new(address: Address, max: usize, limit: Duration) -> Self {
        Self {
            client: Arc::new(Mutex::new(client(&address, limit))),
            address: Arc::new(address),
            limit,
            slots: Arc::new(Semaphore::new(max)),
        }
    }

    /// Runs a statement within the limit.
    pub async fn run<T, F>(&self, statement: impl FnOnce(Client) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, clickhouse::error::Error>>,
    {
        let slot = timeout(self.limit, self.slots.acquire()).await;
        let _slot =
            slot.map_err(|_| errors::all_busy(self.limit))?.map_err(|_| errors::closed())?;
        let client = lock(&self.client).clone();
        match timeout(self.limit, statement(client)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if errors::is_lost(&error) {
                    self.renew();
                }
                Err(errors::under_way(&error))
            }
            Err(_) => {
                self.renew();
                Err(errors::no_answer(self.limit))
            }
        }
    }

    /// The same without a limit of ours or the server's: a large table may take a step of the schema long.
    pub async fn run_unlimited(&self, statement: &str) -> Result<(), StoreError> {
        let client = lock(&self.client).clone().with_setting("max_execution_time", "0");
        let done = client.query_raw(statement).execute().await;
        done.map_err(|error| errors::under_way(&error))
    }

    /// A client without connections: whatever the old ones still wait for, nobody else gets one of them.
    fn renew(&self) {
        *lock(&self.client) = client(&self.address, self.limit);
    }

    /// Lets no more statements begin.
    pub fn close(&self) {
        self.slots.close();
    }
}

/// The server is told nine tenths of the limit, in whole seconds, so that it normally ends a statement itself.
fn client(address: &Address, limit: Duration) -> Client {
    let limit_s = (limit * 9 / 10).as_secs().max(1).to_string();
    let mut client = Client::default()
        .with_url(&address.base)
        .with_database(&address.database)
        .with_compression(Compression::Lz4)
        .with_product_info("tollbridge", env!("CARGO_PKG_VERSION"))
        .with_setting("max_execution_time", limit_s);
    if let Some(user) = &address.user {
        client = client.with_user(user);
    }
    if let Some(password) = &address.password {
        client = client.with_password(password);
    }
    for (name, value) in &address.settings {
        client = client.with_setting(name, value);
    }
    SETTINGS.into_iter().fold(client, |client, (name, value)| client.with_setting(name, value))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Connections {
    /// Leaves out the address, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("limit", &self.limit).finish_non_exhaustive()
    }
}
