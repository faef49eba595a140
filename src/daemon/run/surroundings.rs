//! The environment of a run: its disk, decoder, commands and observers.

use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::daemon::run::messages::Command;
use crate::daemon::run::params::RunParams;
use crate::disk::Disk;
use crate::published::Published;
use crate::source::worker::Decode;

/// Surroundings of a run.
pub struct Surroundings<'a> {
    /// The disk that everything is written to.
    pub disk: &'a Arc<dyn Disk>,
    /// The decoder.
    pub decode: Box<dyn Decode>,
    /// Commands for the run.
    pub commands: &'a Receiver<Command>,
    /// Reads the configuration again.
    pub read_config: &'a mut dyn FnMut() -> Result<RunParams, String>,
    /// Cells for observers, if there are any.
    pub published: Option<Arc<Published>>,
    /// Called once the state has been restored, before the first row is read.
    pub begun: Option<&'a mut Begun<'a>>,
}

/// Starts the observers.
pub type Begun<'a> = dyn FnMut() -> Result<(), Box<dyn std::error::Error + Send + Sync>> + 'a;

impl<'a> Surroundings<'a> {
    /// The environment of a run without observers.
    pub fn unseen(
        disk: &'a Arc<dyn Disk>,
        decode: Box<dyn Decode>,
        commands: &'a Receiver<Command>,
        read_config: &'a mut dyn FnMut() -> Result<RunParams, String>,
    ) -> Self {
        Self {
            disk,
            decode,
            commands,
            read_config,
            published: None,
            begun: None,
        }
    }
}
