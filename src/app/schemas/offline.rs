//! Records of the source topic as commands read them: beside the route, one after another, with the registry asked in
//! between.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;

use super::registry;
use crate::adapters::registry::{AskError, Registry};
use crate::app::exit::Exit;
use crate::app::settings;
use crate::config::Config;
use crate::domain::record::Record;
use crate::domain::schema::{Registered, SchemaRef};
use crate::domain::transaction::Transaction;
use crate::wire::transaction::{Decoder, Rejection};

type Answer = Result<Registered, AskError>;

/// Reads records, and asks the registry for what they were written with.
#[derive(Debug)]
pub struct SourceDecoder {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    decoder: Decoder,
    asker: Option<Asker>,
    failed: Option<AskError>,
}

/// A thread that asks: whoever reads a topic blocks, and can't wait for a runtime.
#[derive(Debug)]
struct Asker {
    questions: Sender<SchemaRef>,
    answers: Receiver<Answer>,
}

impl SourceDecoder {
    /// # Errors
    /// `Exit::BadConfig` where the schema file or a setting of the registry can't be.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        let (decoder, registry) = (settings::decoder(config)?, registry(config)?);
        let asker = registry.map(Asker::start).transpose()?;
        Ok(Self { inner: Mutex::new(Inner { decoder, asker, failed: None }) })
    }

    /// Reads a record and checks every rule. Where the registry does not answer, the record is rejected, and so is
    /// all that is asked here, until [`Self::check`] has been asked: no verdict of it counts.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn decode(&self, record: &Record) -> Result<Transaction, Rejection> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.failed.is_none()
            && let Some(name) = inner.decoder.unknown_schema(record)
        {
            let asked = inner.asker.as_ref().map(|asker| asker.ask(name));
            match asked {
                // That it is of no use is told with each record.
                Some(Ok(said)) => drop(inner.decoder.learn(name, &said)),
                Some(Err(error)) => inner.failed = Some(error),
                None => {}
            }
        }
        inner.decoder.decode(record)
    }

    /// Whether all that was read was read rightly.
    ///
    /// # Errors
    /// `Exit::Unavailable` where the registry did not answer.
    pub fn check(&self) -> anyhow::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.failed.take() {
            None => Ok(()),
            Some(error) => Err(Exit::Unavailable.because(anyhow!("schema registry: {error}"))),
        }
    }
}

impl From<Decoder> for SourceDecoder {
    fn from(decoder: Decoder) -> Self {
        Self { inner: Mutex::new(Inner { decoder, asker: None, failed: None }) }
    }
}

impl Asker {
    fn start(registry: Registry) -> anyhow::Result<Self> {
        let (questions, asked) = channel::<SchemaRef>();
        let (answer, answers) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answering = move || {
            for name in asked {
                if answer.send(runtime.block_on(registry.schema(name))).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("schemas".into()).spawn(answering)?;
        Ok(Self { questions, answers })
    }

    fn ask(&self, name: SchemaRef) -> Answer {
        let gone = || AskError::Away("the thread that asks has ended".into());
        self.questions.send(name).map_err(|_| gone())?;
        self.answers.recv().map_err(|_| gone())?
    }
}
