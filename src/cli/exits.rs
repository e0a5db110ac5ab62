//! What the exit codes of each command mean, and how its help tells them: one table, so that no command forgets it.
//! The codes themselves are [`crate::app::exit::Exit`].

use clap::Command;
use clap::builder::StyledStr;

/// Exit code and meaning.
type Meaning = (u8, &'static str);

const USAGE: Meaning = (2, "wrong usage");
const GONE: Meaning = (69, "something that it needs is not there, or not set up as it has to be");
const CONFIG: Meaning = (78, "the configuration is wrong; each finding is a line on stderr");
const FAILED: Meaning = (1, "it failed for another reason, told on stderr");

/// Commands by name; a command of a command behind the one that it is of.
const COMMANDS: [(&str, &[Meaning]); 19] = [
    (
        "run",
        &[
            (0, "ended in order: by SIGTERM, SIGINT, or --until-idle"),
            (1, "it can't go on by itself; start it again, nothing is lost"),
            USAGE,
            GONE,
            CONFIG,
            (130, "ended at once by a second SIGINT; nothing is lost"),
            (143, "ended at once by a second SIGTERM; nothing is lost"),
        ],
    ),
    (
        "check-config",
        &[(0, "everything is as it has to be; notes are no failure"), USAGE, GONE, CONFIG],
    ),
    ("config", &[(0, "shown"), USAGE, CONFIG]),
    ("config show", &[(0, "shown"), USAGE, CONFIG]),
    ("migrate", &[(0, "the tables have this version"), FAILED, USAGE, GONE, CONFIG]),
    ("generate", &[(0, "every record is acknowledged"), FAILED, USAGE, GONE, CONFIG]),
    ("gateway", &[(0, "done"), FAILED, USAGE, (3, "a check found something"), CONFIG]),
    (
        "gateway check",
        &[
            (0, "the answers fit each other and the profile"),
            FAILED,
            USAGE,
            (3, "they do not, or none came; what is wrong is told on stdout"),
            (78, "the configuration or the profile is wrong; each finding is a line on stderr"),
        ],
    ),
    ("gateway show", &[(0, "shown"), USAGE]),
    (
        "gateway-sim",
        &[
            (0, "ended by SIGTERM or SIGINT"),
            (1, "the ledger can't be read or written"),
            USAGE,
            (69, "the address can't be listened on"),
            (78, "the script of faults is wrong"),
        ],
    ),
    (
        "reconcile",
        &[
            (0, "it balances"),
            FAILED,
            USAGE,
            (3, "it does not balance; what fails is named on stdout"),
            GONE,
            CONFIG,
        ],
    ),
    (
        "rebuild",
        &[
            (0, "every row that events tell of stands (dry run: would stand)"),
            FAILED,
            USAGE,
            (
                3,
                "rows or events contradict each other; each is named on stdout, the others are made",
            ),
            GONE,
            (78, "the configuration is wrong, or names another store than the group's"),
        ],
    ),
    (
        "resolve",
        &[
            (0, "the word is kept and told"),
            (1, "refused; what stands there is told on stderr"),
            USAGE,
            GONE,
            CONFIG,
        ],
    ),
    (
        "trace",
        &[
            (0, "shown"),
            (1, "nothing knows the id"),
            USAGE,
            (69, "a part did not answer; what the others know is shown"),
            CONFIG,
        ],
    ),
    (
        "dlq",
        &[
            (0, "done"),
            FAILED,
            USAGE,
            (3, "a replay refused something, a purge kept something"),
            GONE,
            CONFIG,
        ],
    ),
    ("dlq list", &[(0, "listed, be it none"), FAILED, USAGE, GONE, CONFIG]),
    ("dlq show", &[(0, "shown"), (1, "nothing stands there"), USAGE, GONE, CONFIG]),
    (
        "dlq replay",
        &[
            (0, "all that was asked for is replayed, up to --max; in a dry run: would be"),
            FAILED,
            USAGE,
            (3, "something was refused; each is named on stdout, with the reason"),
            (69, "Kafka or the store does not answer; what was done by then is told on stdout"),
            CONFIG,
        ],
    ),
    (
        "dlq purge",
        &[
            (0, "all of them are purged; in a dry run: would be"),
            FAILED,
            USAGE,
            (3, "some had to stay"),
            GONE,
            CONFIG,
        ],
    ),
];

/// Puts the exit codes at the end of each command's help.
pub(super) fn told(cli: Command) -> Command {
    COMMANDS.iter().fold(cli, |cli, (name, meanings)| match name.split_once(' ') {
        Some((name, part)) => cli.mut_subcommand(name, |command| tell(command, part, meanings)),
        None => tell(cli, name, meanings),
    })
}

fn tell(parent: Command, name: &str, meanings: &[Meaning]) -> Command {
    parent.mut_subcommand(name, |command| ended(command, meanings))
}

fn ended(command: Command, meanings: &[Meaning]) -> Command {
    let short = with(command.get_after_help(), meanings);
    let long = command.get_after_long_help().map(|help| with(Some(help), meanings));
    let command = command.after_help(short);
    match long {
        Some(long) => command.after_long_help(long),
        None => command,
    }
}

fn with(help: Option<&StyledStr>, meanings: &[Meaning]) -> String {
    let mut text = help.map(|help| format!("{help}\n\n")).unwrap_or_default();
    text.push_str("Exit codes:");
    for (code, meaning) in meanings {
        text.push_str(&format!("\n  {code:<4} {meaning}"));
    }
    text
}
