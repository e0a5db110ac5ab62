//! Payment gateways that nobody here wrote, each a process of its own on loopback: stand-ins for Stripe, of which each
//! is good for something else. They are told nothing of Tollbridge, and their code is used as it is published.
//! Deliberately not Stripe: where one differs from it, the test that meets it says so.

mod fetch;

use crate::error::{Doing, Error, Result};
use crate::http;
use crate::ports::free_port;
use crate::process::{Launch, Process};
pub use fetch::install;
use serde_json::Value;
use std::time::Duration;

/// A busy machine included.
const READY_LIMIT: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(30);
/// All of them take any key that begins like one of Stripe's for tests.
const CREDENTIAL: &str = "sk_test_tollbridge";

/// Its own command line listens on all addresses; this is how it is used as a library.
const STATEFUL_MOCK: &str = "const { createExpressApp } = require('stripe-stateful-mock');
createExpressApp().listen(Number(process.argv[1]), '127.0.0.1');";

/// Its own command line listens on all addresses, and keeps what it knows in one file that all instances share.
const LOCALSTRIPE: &str = "import sys
from aiohttp import web
from localstripe import resources, server
resources.Store.dump_to_disk = lambda store: None
web.run_app(server.app, host='127.0.0.1', port=int(sys.argv[1]), print=None)";

/// As its documentation has it, with an account for tests.
const STRIPE_WORLD: &str = "import seahaven.http
from seahaven_stripe_world import world
from seahaven_stripe_world.http_api import handle
seahaven.http.main(world, handle)";
const ACCOUNT_FOR_TESTS: &str = r#"{"startup": {"livemode": false}}"#;

/// A running gateway. Dropping it ends it, and what it knows is gone.
#[derive(Debug)]
pub struct Foreign {
    process: Process,
    port: u16,
    /// What stands before the paths of Stripe.
    base: &'static str,
}

impl Foreign {
    /// `stripe-stateful-mock`: Charges, kept in memory, with answers replayed by key.
    ///
    /// # Errors
    /// When it cannot be fetched or does not answer.
    pub fn stateful_mock() -> Result<Self> {
        let (node, folder) = fetch::stateful_mock()?;
        let port = free_port();
        let launch = Launch::new(node).args(["-e", STATEFUL_MOCK]).arg(port.to_string());
        Self::start(launch.folder(folder), port, "")
    }

    /// `localstripe`: Charges and PaymentIntents, kept in memory; keys are not heeded.
    ///
    /// # Errors
    /// When it cannot be fetched or does not answer.
    pub fn localstripe() -> Result<Self> {
        let port = free_port();
        let launch = Launch::new(fetch::localstripe()?).args(["-c", LOCALSTRIPE]);
        Self::start(launch.arg(port.to_string()), port, "")
    }

    /// Stripe's own `stripe-mock`: holds every request against Stripe's published description of its API, and answers
    /// from a can.
    ///
    /// # Errors
    /// When it cannot be fetched or does not answer.
    pub fn stripe_mock() -> Result<Self> {
        let port = free_port();
        let launch = Launch::new(fetch::stripe_mock()?)
            .args(["-http-addr".to_owned(), format!("127.0.0.1:{port}")])
            // Else it takes the same port of all addresses for HTTPS, once on a machine.
            .args(["-https-addr", "127.0.0.1:0"]);
        Self::start(launch, port, "")
    }

    /// `seahaven-stripe-world`: PaymentIntents with search, kept in memory, with answers replayed by key.
    ///
    /// # Errors
    /// When it cannot be fetched or does not answer.
    pub fn stripe_world() -> Result<Self> {
        let port = free_port();
        let launch = fetch::stripe_world()?
            .args(["-c", STRIPE_WORLD, "--host", "127.0.0.1", "--port"])
            .arg(port.to_string())
            .args(["--reset-options", ACCOUNT_FOR_TESTS]);
        Self::start(launch, port, "/worlds/tollbridge")
    }

    fn start(launch: Launch, port: u16, base: &'static str) -> Result<Self> {
        let process = launch.start()?;
        process.wait_ready("the gateway", READY_LIMIT, || http::get(port, "/").is_ok())?;
        Ok(Self { process, port, base })
    }

    /// Where it is, for `gateway.url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.base)
    }

    /// What it takes for `gateway.credential`.
    #[must_use]
    pub fn credential(&self) -> &'static str {
        CREDENTIAL
    }

    /// Asks for what stands at a path.
    ///
    /// # Errors
    /// When it does not answer with 200 and JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path, "")
    }

    /// Makes a payment method of a card, given as the fields of a form, where the server knows none of its own.
    ///
    /// # Errors
    /// As for [`Self::get`], or where the answer names none.
    pub fn payment_method(&self, card: &str) -> Result<String> {
        let made = self.ask("POST", "/v1/payment_methods", &format!("type=card&{card}"))?;
        let id = made["id"].as_str().ok_or_else(|| Error::new(format!("no id in {made}")))?;
        Ok(id.to_owned())
    }

    fn ask(&self, method: &str, path: &str, form: &str) -> Result<Value> {
        let what = format!("{method} {}{path}", self.base);
        let headers = format!(
            "authorization: Bearer {CREDENTIAL}\r\ncontent-type: application/x-www-form-urlencoded\r\n"
        );
        match http::request(self.port, &what, &headers, form, LIMIT)? {
            (200, body) => {
                serde_json::from_str(&body).doing(|| format!("read the answer to {what}: {body}"))
            }
            (code, body) => {
                let tail = self.process.log_tail();
                Err(Error::new(format!("{what} is answered with {code}: {body}\n{tail}")))
            }
        }
    }
}
