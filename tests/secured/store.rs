//! A PostgreSQL that lets in only who comes by TLS: a processor that trusts its authority works, and who trusts
//! another one, knows it by another name or comes in the clear is refused at the start and told so.

use tollbridge_rig::certificate::Authority;
use tollbridge_rig::{Postgres, wait_until};

use super::*;

/// Whether there are sessions of ours, and whether all of them are encrypted.
const ENCRYPTED: &str = "SELECT count(*) > 0, bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                         WHERE application_name = 'tollbridge'";
const CUT_OFF: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tollbridge'";

struct Vouched {
    server: Postgres,
    ours: Authority,
    other: Authority,
}

impl Vouched {
    fn new() -> Self {
        let [ours, other] = ["ours", "other"].map(|name| Authority::new(name).unwrap());
        let server = Postgres::start_with_tls(&ours.vouch().unwrap()).unwrap();
        Self { server, ours, other }
    }

    /// The argument that names this host and these parameters of the address.
    fn at(&self, host: &str, parameters: &str) -> String {
        format!("--set=store.url={}?{parameters}", self.server.url().replace("127.0.0.1", host))
    }

    fn trusting(&self, authority: &Authority, host: &str, mode: &str) -> String {
        let file = authority.certificate();
        self.at(host, &format!("sslmode={mode}&sslrootcert={}", file.display()))
    }

    fn rows(&self) -> String {
        self.server.psql("SELECT count(*) FROM transactions").unwrap()
    }

    fn wait_for_rows(&self, rows: &str) {
        wait_until("the rows", LIMIT, || self.rows() == rows).unwrap();
    }
}

#[test]
fn a_store_is_reached_by_tls_with_its_authority_and_its_name_alone() {
    let place = Place::new();
    place.stack.kafka.allow(USER, &rights()).unwrap();
    let store = Vouched::new();
    let right = store.trusting(&store.ours, "127.0.0.1", "verify-full");
    let made = place.ends(0, "migrate", &[&right]);
    assert!(made.contains("made the tables"), "{made}");
    place.operator("generate", &["--count", "20"]);
    refused(&place, &store);
    assert_eq!(store.rows(), "0");
    let ledger = std::fs::read_to_string(place.stack.ledger()).unwrap_or_default();
    assert_eq!(ledger, "", "nothing may have been charged");
    worked_with(&place, &store, &right);
}

/// Each start ends soon, and says which address it was and what became of it.
fn refused(place: &Place, store: &Vouched) {
    for (set, migrate, words) in [
        // Vouched for by somebody else.
        (
            store.trusting(&store.other, "127.0.0.1", "verify-full"),
            69,
            "certificate: UnknownIssuer",
        ),
        // Without a file, public authorities alone are trusted.
        (store.at("127.0.0.1", "sslmode=verify-full"), 69, "certificate: UnknownIssuer"),
        (
            store.trusting(&store.ours, "localhost", "verify-full"),
            69,
            "not valid for name \"localhost\"",
        ),
        (store.at("127.0.0.1", "sslmode=disable"), 1, "no encryption (28000)"),
    ] {
        let url = set.strip_prefix("--set=store.url=").unwrap();
        soon(&set, || {
            let told = place.ends(migrate, "migrate", &[&set]);
            assert!(told.contains(url) && told.contains(words), "{told}");
        });
        soon(&set, || {
            let checked = place.ends(69, "check-config", &[&set]);
            let mut wrong = checked.lines().filter(|line| line.starts_with("wrong "));
            let said = wrong.next().unwrap_or_default();
            assert!(said.starts_with(&format!("wrong store {url}: ")), "{checked}");
            assert!(said.contains(words), "{checked}");
            let remedies = ["correct store.url.", "docs/operating.md."];
            assert!(remedies.iter().any(|remedy| said.ends_with(remedy)), "{checked}");
            assert_eq!(wrong.next(), None, "{checked}");
        });
        soon(&set, || {
            let told = place.ends(69, "run", &["--until-idle", "1s", &set]);
            assert!(told.contains(url) && told.contains(words), "{told}");
        });
    }
    // The name was all that was wrong with it.
    place.ends(0, "check-config", &[&store.trusting(&store.ours, "localhost", "verify-ca")]);
    for (parts, words) in [
        ("sslmode=verify_full", "\"verify_full\""),
        ("sslmod=verify-full", "not known"),
        (
            "sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            "sslrootcert names /nowhere/ca.pem: No such",
        ),
    ] {
        let told = place.ends(78, "run", &[&store.at("127.0.0.1", parts)]);
        assert!(told.contains("store.url") && told.contains(words), "{told}");
    }
}

fn soon(what: &str, start: impl FnOnce()) {
    #[expect(clippy::disallowed_methods, reason = "the test's own stopwatch")]
    let began = std::time::Instant::now();
    start();
    let took = began.elapsed();
    assert!(took < LIMIT, "{what}: {took:?}");
}

/// Also when the server shows the certificate of somebody else for a while: that is said, and waited out.
fn worked_with(place: &Place, store: &Vouched, right: &str) {
    let checked = place.ends(0, "check-config", &[right]);
    assert!(checked.lines().all(|line| line.starts_with("ok ")), "{checked}");
    let log = place.stack.file("vouched.log");
    let process = place.stack.command("run", &place.config).arg(right).log(log).start().unwrap();
    store.wait_for_rows("20");
    assert_eq!(store.server.psql(ENCRYPTED).unwrap(), "t|t");
    store.server.show_from_now_on(&store.other.vouch().unwrap()).unwrap();
    store.server.psql(CUT_OFF).unwrap();
    place.operator("generate", &["--count", "20", "--start-id", "more"]);
    let said = process.wait_for_line("invalid peer certificate", LIMIT).unwrap();
    assert!(said.contains("WARN") && said.contains("store: "), "{said}");
    assert_eq!(store.rows(), "20");
    store.server.show_from_now_on(&store.ours.vouch().unwrap()).unwrap();
    store.wait_for_rows("40");
    assert!(process.terminate(LIMIT).unwrap().success());
    let balance = place.operator("reconcile", &[right]);
    assert!(balance.contains("balanced: 40 records finished, 0 waiting"), "{balance}");
}
