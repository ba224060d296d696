//! Brokers, on a platform that has none.

use std::env::consts::OS;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};

use wave_policy::Policy;

use crate::broker::BrokerRequest;
use crate::ended::Ended;
use crate::error::{Cause, WorkerError};

/// A broker, which cannot be started here.
#[derive(Debug)]
pub enum Broker {}

/// The way to a broker.
#[derive(Debug)]
pub enum BrokerClient {}

impl Broker {
    /// Refuses.
    ///
    /// # Errors
    /// [`WorkerError::Start`], always.
    pub fn start(_: &Policy, _: u64, _: impl Fn(&BrokerRequest) -> bool) -> Result<Self, WorkerError> {
        Err(WorkerError::Start(Cause::Platform("seal a process that makes connections", OS)))
    }

    /// There is no broker.
    ///
    /// # Errors
    /// None.
    pub fn sealed(&mut self) -> Result<String, WorkerError> {
        match *self {}
    }

    /// There is no broker.
    pub fn autopsy(&mut self) -> Ended {
        match *self {}
    }

    /// There is no broker.
    ///
    /// # Errors
    /// None.
    pub fn into_client(self) -> io::Result<BrokerClient> {
        match self {}
    }
}

impl BrokerClient {
    /// There is no broker.
    pub fn descriptor(&self) -> RawFd {
        match *self {}
    }

    /// There is no broker.
    ///
    /// # Errors
    /// None.
    pub fn connect_tcp(&self, _: SocketAddr) -> io::Result<OwnedFd> {
        match *self {}
    }
}
