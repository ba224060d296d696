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
    /// Every area, with its name and what it is about.
    pub const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Fs, "fs", "Files and directories, streams"),
        (Self::Net, "net", "Sockets"),
        (Self::Clock, "clock", "Clocks"),
        (Self::Random, "random", "Random numbers"),
        (Self::Env, "env", "Arguments and environment"),
        (Self::Poll, "poll", "Waiting"),
        (Self::Proc, "proc", "Exit, signals, scheduling"),
    ];

    /// The area of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, other, _)| *other == name).map(|(area, ..)| *area)
    }

    /// The area of a WASI function, by its name. `None` for a name of no such function.
    ///
    /// Source: WASI preview 1, where the first word of a name says what it is about. So it does in `wave_net`.
    pub fn of(function: &str) -> Option<Self> {
        match function.split('_').next()? {
            "fd" | "path" => Some(Self::Fs),
            "sock" | "tcp" | "address" | "resolve" => Some(Self::Net),
            "clock" => Some(Self::Clock),
            "random" => Some(Self::Random),
            "args" | "environ" => Some(Self::Env),
            "poll" => Some(Self::Poll),
            "proc" | "sched" => Some(Self::Proc),
            _ => None,
        }
    }
}
