//! How far a long command is: a bar on a terminal, nothing in a pipe.

use std::io::{Result, Write, stderr};
use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::app::reconcile::Watch;

/// All bars of the process: whoever writes to stderr must know of them. Draws nothing where stderr is no terminal.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes to stderr; takes the bars away meanwhile.
#[derive(Debug)]
pub struct Beside;

/// For the log.
#[must_use]
pub fn beside() -> Beside {
    Beside
}

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        BARS.suspend(|| stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        stderr().flush()
    }
}

/// Shows what is done, the rate, and how long the rest will take, on stderr.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// `verb` as in "producing"; `total` items.
    #[must_use]
    pub fn new(verb: &'static str, total: u64) -> Self {
        let bar = BARS.add(ProgressBar::new(total));
        let form = "{msg} {wide_bar} {pos}/{len}  {rate}/s  {left} left";
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style.with_key("rate", rate).with_key("left", left));
        }
        bar.set_message(verb);
        Self(bar)
    }

    pub fn add(&self, items: u64) {
        self.0.inc(items);
    }

    /// What is done by now, of what is known by now.
    pub fn set(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // A bar that can't be drawn is no reason to stop.
    write!(out, "{:.0}", state.per_sec()).ok();
}

fn left(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    write!(out, "{}s", state.eta().as_secs()).ok();
}

/// The bars of a command that does one thing after the other.
#[derive(Debug, Default)]
pub struct Steps(Option<Progress>);

impl Steps {
    /// Takes the last bar away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish();
        }
    }
}

impl Watch for Steps {
    fn begin(&mut self, verb: &'static str, total: u64) {
        self.finish();
        self.0 = Some(Progress::new(verb, total));
    }

    fn add(&mut self, items: u64) {
        if let Some(bar) = &self.0 {
            bar.add(items);
        }
    }
}
