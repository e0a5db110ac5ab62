//! The README's commands, one block after the other, in one folder, against a Kafka and a Redis of this test. The
//! addresses that the README names are replaced, because tests have no fixed ports; nothing else is.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tollbridge_rig::{Launch, Process, TempDir, free_port, shared_kafka, shared_redis, wait_until};

use crate::blocks::{self, Block};
use crate::{page, root};

/// Blocks that are not run, by their first line, and why. A line that is in no page any more fails the test.
const NOT_RUN: [(&str, &str); 6] = [
    ("make demo", "a test can't run itself; the targets are looked up"),
    ("cargo build --release", "the binary that cargo built for this test is on the PATH"),
    (
        "for topic in transactions tx-archived tx-declined tx-dead-letter tx-alerts; do",
        "Kafka's own scripts are no part of what tests install",
    ),
    (
        "tollbridge gateway-sim --listen 127.0.0.1:9400 --ledger ledger.jsonl --faults faults.toml",
        "the gateway's contract tests run it with scripts of faults",
    ),
    (
        "tollbridge reconcile --config tollbridge.toml --ledger charges.csv \\",
        "the tests of reconcile run it with a CSV file",
    ),
    (
        "tollbridge trace   --config tollbridge.toml tx-81                            # all that is known of it",
        "the tests of reconcile resolve transactions that are in doubt",
    ),
];

/// Long, for a machine that does other things.
const BLOCK_LIMIT: Duration = Duration::from_secs(120);

fn is_shell(block: &Block) -> bool {
    ["sh", "bash", "shell", "console"].contains(&block.language.as_str())
}

fn why_not(block: &Block) -> Option<&'static str> {
    NOT_RUN.iter().find(|(line, _)| *line == block.first_line()).map(|(_, why)| *why)
}

/// A folder, services, and the README with their addresses.
struct Walk {
    folder: TempDir,
    readme: String,
    gateway_port: u16,
    shells: Vec<Process>,
}

impl Drop for Walk {
    /// Ends what blocks have left running: each shell has a process group of its own, which outlives it.
    fn drop(&mut self) {
        for shell in &self.shells {
            let group = i32::try_from(shell.pid()).ok().and_then(Pid::from_raw);
            group.map(|group| kill_process_group(group, Signal::KILL));
        }
    }
}

impl Walk {
    fn begin() -> Self {
        for topic in ["transactions", "tx-archived", "tx-declined", "tx-dead-letter", "tx-alerts"] {
            shared_kafka().create_topic(topic, 4).unwrap();
        }
        let redis = shared_redis().fresh_url();
        let (gateway_port, http_port) = (free_port(), free_port());
        let readme = page("README.md")
            .replace("127.0.0.1:9092", &shared_kafka().bootstrap())
            .replace("redis://127.0.0.1:6379/0", &redis)
            .replace("127.0.0.1:9400", &format!("127.0.0.1:{gateway_port}"))
            .replace("127.0.0.1:9464", &format!("127.0.0.1:{http_port}"));
        let folder = TempDir::new("readme").unwrap();
        Self { folder, readme, gateway_port, shells: Vec::new() }
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a block as a shell would that ends at the first failure; gives what it said.
    fn run(&mut self, block: &Block) -> String {
        let binary = Path::new(env!("CARGO_BIN_EXE_tollbridge")).parent().unwrap();
        let script = format!("PATH={}:$PATH\n{}", binary.display(), block.text);
        let log = self.file(&format!("block-{}.log", self.shells.len()));
        let shell = Launch::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .folder(self.folder.path())
            .log(log)
            .start()
            .unwrap();
        let ended = shell.wait(BLOCK_LIMIT);
        let said = shell.log();
        self.shells.push(shell);
        let good = ended.as_ref().is_ok_and(std::process::ExitStatus::success);
        assert!(good, "{}\nended with {ended:?} and said:\n{said}", block.text);
        said
    }
}

#[test]
fn every_command_block_of_the_readme_runs() {
    let mut walk = Walk::begin();
    let mut said = String::new();
    for block in blocks::of(&walk.readme.clone()) {
        if block.language == "toml" {
            let name = block.first_line().trim_start_matches("# ");
            std::fs::write(walk.file(name), &block.text).unwrap();
        }
        if is_shell(&block) && why_not(&block).is_none() {
            said += &walk.run(&block);
            if block.text.contains("gateway-sim") {
                let port = walk.gateway_port;
                wait_until("the simulator", Duration::from_secs(30), || {
                    tollbridge_rig::http::get(port, "/healthz").is_ok()
                })
                .unwrap();
            }
        }
    }
    // What the reader is led to see.
    for line in [
        "made the tables",
        "ok    store sqlite:",
        "\"records\":500",
        "archived|EUR|",
        "\nbalanced: ",
    ] {
        assert!(said.contains(line), "{line:?} is missing in\n{said}");
    }
    assert!(!said.contains("wrong "), "{said}");
}

/// Every block of shell is run, or stands on the list with its reason; nothing else is on the list.
#[test]
fn every_command_block_is_accounted_for() {
    let readme = blocks::of(&page("README.md"));
    assert!(readme.iter().filter(|block| is_shell(block)).count() > 5);
    let mut lines = Vec::new();
    for path in ["README.md", "docs/operating.md", "docs/gateway-sim.md", "docs/reconcile.md"] {
        for block in blocks::of(&page(path)).iter().filter(|block| is_shell(block)) {
            let listed = why_not(block).is_some();
            assert!(listed || path == "README.md", "{path}: {}", block.first_line());
            if listed {
                lines.push(block.first_line().to_owned());
            }
        }
    }
    for (line, _) in NOT_RUN {
        assert!(lines.iter().any(|found| found == line), "no page has {line:?} any more");
    }
}

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = page("Makefile");
    let is_target = |name: &str| makefile.lines().any(|line| line.starts_with(&format!("{name}:")));
    let mut named = 0;
    for path in ["README.md", "docs/operating.md", "tests/rig/src/up.rs"] {
        for after in page(path).replace('`', " ").split("make ").skip(1) {
            let name: String =
                after.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            if ["demo", "test", "up", "down", "check", "bench"].contains(&name.as_str()) {
                named += 1;
                assert!(is_target(&name), "{path} names make {name}");
            }
        }
    }
    assert!(named > 4, "{named}");
    let block = blocks::of(&page("README.md")).into_iter().find(is_shell).unwrap();
    assert_eq!(block.text, "make demo\nmake test\n");
    assert!(root().join("tests/rig/install.sh").is_file());
}
