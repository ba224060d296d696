//! Areas of WASI functions.

/// What a group of WASI functions is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Files and directories, streams.
    Fs,
    /// Sockets.
    Net,
    /// Clocks.
    Clock,
    /// Random numbers.
    Random,
    /// Arguments and environment.
    Env,
    /// Waiting.
    Poll,
    /// Exit, signals, scheduling.
    Proc,
}

impl Area {
    /// The area of a WASI function, by its name. `None` for a name of no such function.
    ///
    /// Source: WASI preview 1, where the first word of a name says what it is about.
    pub fn of(function: &str) -> Option<Self> {
        match function.split('_').next()? {
            "fd" | "path" => Some(Self::Fs),
            "sock" => Some(Self::Net),
            "clock" => Some(Self::Clock),
            "random" => Some(Self::Random),
            "args" | "environ" => Some(Self::Env),
            "poll" => Some(Self::Poll),
            "proc" | "sched" => Some(Self::Proc),
            _ => None,
        }
    }
}
