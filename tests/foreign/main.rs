//! The profiles for Stripe on servers that nobody here wrote: how each answer is read, and what `gateway check` says.
//! Each server stands in for a part of Stripe and differs from it elsewhere, which the file that uses it tells. What
//! no stand-in does is not shown here; Stripe itself was never asked.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends here")]

mod charges;
mod checks;
mod intents;
mod requests;

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use figment::providers::{Format, Toml};
use tollbridge::adapters::http_gateway::{HttpGateway, Settings};
use tollbridge::config::units::Period;
use tollbridge::domain::classify::{Asked, Expected, Verdict};
use tollbridge::domain::id::TransactionId;
use tollbridge::domain::money::{Amount, Currency};
use tollbridge::domain::time::Wall;
use tollbridge::domain::transaction::Transaction;
use tollbridge::ports::gateway::{Answer, Charge, Gateway};
use tollbridge::wire::gateway::Profile;
use tollbridge_rig::{Foreign, TempDir};

const FIRST: Asked = Asked::Charge { first: true };
const LATER: Asked = Asked::Charge { first: false };
/// How long anything may take on a busy machine before it counts as never.
const LIMIT: Duration = Duration::from_secs(60);

/// The server that all tests of this binary share: they keep apart by the transaction's id.
macro_rules! shared {
    ($($name:ident),*) => {$(
        fn $name() -> &'static Foreign {
            static SERVER: OnceLock<Foreign> = OnceLock::new();
            SERVER.get_or_init(|| Foreign::$name().unwrap())
        }
    )*};
}
shared!(stateful_mock, localstripe, stripe_mock, stripe_world);

/// A gateway as a profile speaks to it.
struct Spoken {
    profile: Profile,
    gateway: HttpGateway,
}

impl Spoken {
    fn built_in(name: &str, server: &Foreign) -> Self {
        Self::with(Profile::built_in(name).unwrap(), server, server.credential())
    }

    fn described(text: &str, server: &Foreign) -> Self {
        let tree: serde_json::Value = Toml::from_str(text).unwrap();
        let duration = |text: &str| text.parse::<Period>().ok().map(|period| period.0);
        Self::with(Profile::describe(&tree, duration).unwrap(), server, server.credential())
    }

    fn with(profile: Profile, server: &Foreign, credential: &str) -> Self {
        let gateway = HttpGateway::new(&Settings {
            credential: Some(credential.to_owned()),
            timeout: LIMIT,
            connect_timeout: LIMIT,
            ..Settings::new(&server.url(), profile.endpoints.clone())
        });
        Self { gateway: gateway.unwrap(), profile }
    }

    /// Asks once, and reads the answer.
    async fn charge(&self, asked: Asked, tx: &Transaction) -> Told {
        let charge = Charge { id: tx.id.clone(), body: self.profile.charge_body(tx) };
        self.told(asked, tx, self.gateway.charge(&charge).await)
    }

    async fn lookup(&self, tx: &Transaction) -> Told {
        self.told(Asked::Lookup, tx, self.gateway.lookup(&tx.id).await)
    }

    fn told(&self, asked: Asked, tx: &Transaction, answer: Answer) -> Told {
        let verdict = self.profile.verdict(asked, &Expected::from(tx), &answer);
        let Answer::Response(response) = answer else { panic!("no response: {answer:?}") };
        Told { status: response.status, replayed: response.replayed, verdict }
    }
}

/// An answer, and how it was read.
#[derive(Debug)]
struct Told {
    status: u16,
    replayed: bool,
    verdict: Verdict,
}

impl Told {
    /// The gateway's id of what it approved.
    #[track_caller]
    fn approved(&self) -> &str {
        match &self.verdict {
            Verdict::Approved { gateway_id } => gateway_id,
            other => panic!("not approved: {other:?}"),
        }
    }

    #[track_caller]
    fn assert(&self, status: u16, replayed: bool, verdict: &str) {
        let Self { status: found, replayed: marked, verdict: read } = self;
        assert_eq!((*found, *marked, &*read.to_string()), (status, replayed, verdict), "{self:?}");
    }
}

/// 12.50 EUR.
fn paying_with(id: &str, payment_method: &str) -> Transaction {
    Transaction {
        id: TransactionId::parse(id).unwrap(),
        account_id: "acc-1".into(),
        amount: Amount::new(1250).unwrap(),
        currency: Currency::parse("EUR").unwrap(),
        payment_method: payment_method.to_owned(),
        created_at: Wall(0),
        description: None,
        metadata: [].into(),
    }
}

/// What `tollbridge gateway show` prints.
fn shown(name: &str) -> String {
    let mut show = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    let output = show.args(["gateway", "show", name]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The text with something else in it, which has to be there.
#[track_caller]
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in\n{text}");
    text.replace(from, to)
}

/// `localstripe` and the replica know no payment methods of their own: one is made of a card's number or a token.
fn payment_method(server: &Foreign, card: &str) -> String {
    server.payment_method(card).unwrap()
}

/// A card by its number.
fn card(number: &str) -> String {
    format!("card[number]={number}&card[exp_month]=12&card[exp_year]=2040&card[cvc]=123")
}

/// The records of a list that carry this transaction's id.
fn records(server: &Foreign, list: &str, id: &str) -> Vec<serde_json::Value> {
    let found = server.get(list).unwrap();
    let all = found["data"].as_array().unwrap().iter();
    all.filter(|record| record["metadata"]["transaction_id"] == id).cloned().collect()
}
