//! What the tests share: transactions, clients, the simulator as a process, and a server that speaks as scripted.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
pub use tollbridge::adapters::http_gateway::{HttpGateway, Settings};
pub use tollbridge::domain::classify::{Asked, Expected, Verdict};
pub use tollbridge::domain::id::TransactionId;
pub use tollbridge::domain::money::{Amount, Currency};
pub use tollbridge::domain::time::Wall;
pub use tollbridge::domain::transaction::Transaction;
pub use tollbridge::ports::gateway::{Answer, Charge, Gateway, Response};
pub use tollbridge::wire::gateway::Profile;
pub use tollbridge_rig::{Launch, Process, TempDir};

pub const FIRST: Asked = Asked::Charge { first: true };
pub const LATER: Asked = Asked::Charge { first: false };
/// How long anything may take on a busy machine before it counts as never.
pub const LIMIT: Duration = Duration::from_secs(60);

pub fn transaction(id: &str) -> Transaction {
    Transaction {
        id: TransactionId::parse(id).unwrap(),
        account_id: "acc-1".into(),
        amount: Amount::new(1250).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        payment_method: "pm_1".into(),
        created_at: Wall(0),
        description: None,
        metadata: [].into(),
    }
}

pub fn charge_of(tx: &Transaction) -> Charge {
    Charge { id: tx.id.clone(), body: Profile::generic().charge_body(tx) }
}

pub fn charge(id: &str) -> Charge {
    charge_of(&transaction(id))
}

/// What `answer` means for the transaction [`transaction`] makes of this id.
pub fn verdict(asked: Asked, id: &str, answer: &Answer) -> Verdict {
    Profile::generic().verdict(asked, &Expected::from(&transaction(id)), answer)
}

pub fn response(answer: Answer) -> Response {
    match answer {
        Answer::Response(response) => response,
        other => panic!("no response: {other:?}"),
    }
}

#[track_caller]
pub fn assert_lost(answer: &Answer) {
    assert!(matches!(answer, Answer::Lost(_)), "{answer:?}");
}

#[track_caller]
pub fn assert_not_sent(answer: &Answer) {
    assert!(matches!(answer, Answer::NotSent(_)), "{answer:?}");
}

pub fn settings(url: &str) -> Settings {
    Settings {
        timeout: LIMIT,
        connect_timeout: LIMIT,
        ..Settings::new(url, Profile::generic().endpoints)
    }
}

pub fn client(url: &str) -> HttpGateway {
    HttpGateway::new(&settings(url)).unwrap()
}

/// When [`hasty`] gives up: soon, but not before a busy machine has sent the request.
pub const HASTE: Duration = Duration::from_secs(2);

/// A client that gives up soon: for servers that are silent, since others may be slow.
pub fn hasty(url: &str) -> HttpGateway {
    HttpGateway::new(&Settings { timeout: HASTE, ..settings(url) }).unwrap()
}

/// `tollbridge gateway-sim` as a process.
pub struct Sim {
    pub process: Process,
    pub url: String,
}

impl Sim {
    pub fn start(ledger: &Path, more: &[&str]) -> Self {
        let process = Launch::new(env!("CARGO_BIN_EXE_tollbridge"))
            .args(["gateway-sim", "--listen", "127.0.0.1:0", "--ledger"])
            .arg(ledger)
            .args(more)
            .start()
            .unwrap();
        let line = process.wait_for_line("listening on ", LIMIT).unwrap();
        let address = line.rsplit(' ').next().unwrap();
        Self { url: format!("http://{address}"), process }
    }

    /// With a script of faults.
    pub fn with_faults(folder: &TempDir, script: &str) -> Self {
        let faults = folder.join("faults.toml");
        std::fs::write(&faults, script).unwrap();
        Self::start(&folder.join("ledger.jsonl"), &["--faults", faults.to_str().unwrap()])
    }
}

/// The whole lines of a file of the simulator's, which may be writing the next one.
pub fn lines(file: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The ledger's lines of one transaction: outcome and gateway's id.
pub fn decisions(ledger: &Path, id: &str) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    lines(ledger)
        .iter()
        .filter(|line| line["transaction_id"] == id)
        .map(|line| (text(&line["outcome"]), text(&line["id"])))
        .collect()
}

/// Looks until `condition` holds, and lets everything else go on meanwhile.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let (what, place) = (what.to_owned(), Location::caller());
    async move {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < LIMIT, "{place}: waited {LIMIT:?} in vain for {what}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Until the simulator has taken note of so many charge requests of this id.
pub async fn attempted(ledger: &Path, id: &str, count: usize) {
    let attempts = ledger.with_extension("jsonl.attempts");
    let seen = || lines(&attempts).iter().filter(|line| line["key"] == id).count();
    until("the request to arrive", || seen() >= count).await;
}

/// How often one transaction was charged.
pub fn charges(ledger: &Path, id: &str) -> usize {
    decisions(ledger, id).iter().filter(|(outcome, _)| outcome == "charged").count()
}

/// A server whose connections do what the test says.
pub struct Server {
    pub url: String,
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// `talk` gets the connection's number, counted from 1.
    pub async fn start<F: Future<Output = ()> + Send + 'static>(
        talk: impl Fn(usize, TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(talk(count.fetch_add(1, Ordering::SeqCst) + 1, socket));
            }
        });
        Self { url: format!("http://{address}"), address, connections }
    }

    /// Answers the first request of every connection with these bytes and closes.
    pub async fn says(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::start(move |_, mut socket| {
            let answer = Arc::clone(&answer);
            async move {
                read_request(&mut socket).await;
                socket.write_all(&answer).await.ok();
            }
        })
        .await
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// One whole request as text; empty where the client closes instead.
pub async fn read_request(socket: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut seen = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        match socket.read_buf(&mut seen).await {
            Ok(1..) => {}
            _ => return String::new(),
        }
    }
}

/// 200 with the approval of a transaction, byte for byte.
pub fn approval(id: &str) -> String {
    let body = format!(
        "{{\"id\":\"ch_1\",\"transaction_id\":\"{id}\",\"status\":\"approved\",\"amount\":1250,\"currency\":\"EUR\"}}"
    );
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Charges and demands an approval.
pub async fn approved(gateway: &HttpGateway, id: &str) {
    let answer = gateway.charge(&charge(id)).await;
    let verdict = verdict(LATER, id, &answer);
    assert!(matches!(verdict, Verdict::Approved { .. }), "{answer:?}");
}
