//! The signals that end a run. They are listened to before anything else is done: one that came before would end the
//! process as if it had crashed. Deliberately nothing here finishes any work.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT; nothing where the system does not let them be received.
#[derive(Debug)]
pub(super) struct Signals(Option<(Signal, Signal)>);

impl Signals {
    /// From now on neither ends the process by itself. Within a runtime.
    pub fn listen() -> Self {
        let int = || signal(SignalKind::interrupt());
        let both = signal(SignalKind::terminate()).and_then(|term| Ok((term, int()?)));
        if both.is_err() {
            tracing::error!("signals can't be received; the process can only be killed");
        }
        Self(both.ok())
    }

    /// Resolves at the next one, or at one that has come since [`Signals::listen`]; tells the exit code that a shell
    /// would give a process that it has ended.
    pub async fn next(&mut self) -> i32 {
        let Some((term, int)) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            biased;
            _ = term.recv() => 143,
            _ = int.recv() => 130,
        }
    }

    /// Resolves at the first one, or when idle. A second one ends the process at once.
    pub async fn first_or(mut self, idle: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            number = self.next() => {
                let name = if number == 143 { "SIGTERM" } else { "SIGINT" };
                tracing::info!("{name}: finishing what is in flight");
            }
            () = idle => tracing::info!("idle for as long as was asked; ending"),
        }
        tokio::spawn(async move { std::process::exit(self.next().await) });
    }
}
