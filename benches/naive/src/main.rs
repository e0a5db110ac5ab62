//! The job without the protection: each message goes through Redis, gateway, Redis, an insert, an event and a commit.
//! Nothing is batched, and a death between two steps charges twice or loses what was charged.
//!
//! `tollbridge-naive each|task BROKERS REDIS POSTGRES GATEWAY PARTITIONS`. With `each`, a partition's next message
//! waits until the last one is through; with `task`, up to 256 messages are under way at once.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, DefaultConsumerContext, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::AsyncRuntime;
use rdkafka::{Offset, TopicPartitionList};
use redis::aio::MultiplexedConnection;
use serde::Deserialize;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Semaphore;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages under way at once where each has a task.
const IN_FLIGHT: usize = 256;
const POOL: u32 = 16;
const TABLE: &str = "CREATE TABLE IF NOT EXISTS naive (transaction_id text PRIMARY KEY, account_id text NOT NULL, \
     amount bigint NOT NULL, currency text NOT NULL, charge_id text NOT NULL, \
     stored_at timestamptz NOT NULL DEFAULT now())";
const INSERT: &str = "INSERT INTO naive (transaction_id, account_id, amount, currency, charge_id) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";

type Failed = Box<dyn std::error::Error + Send + Sync>;
type Reader = StreamConsumer<DefaultConsumerContext, Tokio>;
type Writer = FutureProducer<rdkafka::client::DefaultClientContext, Tokio>;

/// rdkafka's futures on tokio; its own feature for this is not the product's.
struct Tokio;

impl AsyncRuntime for Tokio {
    type Delay = Pin<Box<tokio::time::Sleep>>;

    fn spawn<T>(task: T)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(task);
    }

    fn delay_for(duration: Duration) -> Self::Delay {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[derive(Debug, Deserialize)]
struct Transaction<'a> {
    #[serde(borrow)]
    transaction_id: &'a str,
    account_id: &'a str,
    amount: i64,
    currency: &'a str,
}

#[derive(Debug, Deserialize)]
struct Charged<'a> {
    #[serde(borrow)]
    id: &'a str,
    status: &'a str,
}

/// What a message meets on its way.
#[derive(Clone)]
struct Parts {
    redis: MultiplexedConnection,
    http: Client<HttpConnector, Full<Bytes>>,
    gateway: Arc<str>,
    postgres: PgPool,
    writer: Writer,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [way, brokers, redis, postgres, gateway, partitions] = arguments.as_slice() else {
        eprintln!("tollbridge-naive each|task BROKERS REDIS POSTGRES GATEWAY PARTITIONS");
        return ExitCode::FAILURE;
    };
    let ran = (|| {
        let partitions: i32 = partitions.parse()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let parts = connect(brokers, redis, postgres, gateway).await?;
            match way.as_str() {
                "each" => one_at_a_time(brokers, partitions, parts).await,
                _ => task_each(brokers, partitions, parts).await,
            }
        })
    })();
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error: Failed = error;
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn connect(
    brokers: &str,
    redis: &str,
    postgres: &str,
    gateway: &str,
) -> Result<Parts, Failed> {
    let redis = redis::Client::open(redis)?.get_multiplexed_async_connection().await?;
    let postgres = PgPoolOptions::new().max_connections(POOL).connect(postgres).await?;
    sqlx::query(TABLE).execute(&postgres).await?;
    let writer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .create()?;
    let http = Client::builder(TokioExecutor::new()).build_http();
    Ok(Parts { redis, http, gateway: gateway.into(), postgres, writer })
}

/// One reader of these partitions, from their start.
fn reader(brokers: &str, partitions: std::ops::Range<i32>) -> Result<Reader, Failed> {
    let reader: Reader = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "naive")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset("transactions", partition, Offset::Beginning)?;
    }
    reader.assign(&list)?;
    Ok(reader)
}

async fn one_at_a_time(brokers: &str, partitions: i32, parts: Parts) -> Result<(), Failed> {
    let mut lanes = Vec::new();
    for partition in 0..partitions {
        let (reader, mut parts) = (reader(brokers, partition..partition + 1)?, parts.clone());
        lanes.push(tokio::spawn(async move {
            loop {
                let message = reader.recv().await?;
                parts.take(message.payload().unwrap_or_default()).await?;
                reader.commit_message(&message, CommitMode::Async)?;
            }
        }));
    }
    for lane in lanes {
        let ended: Result<(), Failed> = lane.await?;
        ended?;
    }
    Ok(())
}

async fn task_each(brokers: &str, partitions: i32, parts: Parts) -> Result<(), Failed> {
    let reader = Arc::new(reader(brokers, 0..partitions)?);
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await?;
        let message = reader.recv().await?;
        let (payload, place) = (message.payload().unwrap_or_default().to_vec(), place(&message)?);
        let (mut parts, reader) = (parts.clone(), Arc::clone(&reader));
        tokio::spawn(async move {
            let done = parts.take(&payload).await;
            let committed = done.and_then(|()| Ok(reader.commit(&place, CommitMode::Async)?));
            if let Err(error) = committed {
                eprintln!("{error}");
            }
            drop(permit);
        });
    }
}

/// The offset behind a message.
fn place(message: &BorrowedMessage<'_>) -> Result<TopicPartitionList, Failed> {
    let mut list = TopicPartitionList::with_capacity(1);
    let next = Offset::Offset(message.offset() + 1);
    list.add_partition_offset(message.topic(), message.partition(), next)?;
    Ok(list)
}

impl Parts {
    /// One message, from its payload to its event.
    async fn take(&mut self, payload: &[u8]) -> Result<(), Failed> {
        let transaction: Transaction<'_> = serde_json::from_slice(payload)?;
        let id = transaction.transaction_id;
        let () = redis::cmd("HSET")
            .arg("naive:temp")
            .arg(id)
            .arg(payload)
            .query_async(&mut self.redis)
            .await?;
        let request = Request::post(&*self.gateway)
            .header("content-type", "application/json")
            .header("idempotency-key", id)
            .body(Full::new(Bytes::copy_from_slice(payload)))?;
        let response = self.http.request(request).await?;
        let body = response.into_body().collect().await?.to_bytes();
        let charged: Charged<'_> = serde_json::from_slice(&body)?;
        if charged.status != "approved" {
            return Err(format!("{id} is {}", charged.status).into());
        }
        let () = redis::cmd("HSET")
            .arg("naive:archive")
            .arg(id)
            .arg(payload)
            .query_async(&mut self.redis)
            .await?;
        let () = redis::cmd("HDEL").arg("naive:temp").arg(id).query_async(&mut self.redis).await?;
        sqlx::query(INSERT)
            .bind(id)
            .bind(transaction.account_id)
            .bind(transaction.amount)
            .bind(transaction.currency)
            .bind(charged.id)
            .execute(&self.postgres)
            .await?;
        let event = format!(r#"{{"transaction_id":"{id}","fate":"archived"}}"#);
        let sent = self
            .writer
            .send(FutureRecord::to("tx-archived").key(id).payload(&event), Duration::from_secs(5));
        sent.await.map_err(|(error, _)| error)?;
        let () =
            redis::cmd("HDEL").arg("naive:archive").arg(id).query_async(&mut self.redis).await?;
        Ok(())
    }
}
