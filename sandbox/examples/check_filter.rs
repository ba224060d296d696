//! Asks the check of filters, as each seal does, about programs from standard input. For `proofs/filter`.
//!
//! Each line is a request and has one line of answer. A request `plan` says which filter the next ones are about, by words:
//! `policy=FILE` (its functions, grants, listeners and connections), `level=`, `resolver=`, `role=` (compiler or broker), `results`, `records`, `dump`, `connects`, `growable=BASE:LEN` (may
//! repeat), `code=START:LEN`, `abi=N` (of Landlock). `filter` answers with the program that the seal would install, in hexadecimal
//! digits of `struct sock_filter`. `check PROGRAM` answers `equal PATHS`, `differs` and why, or `malformed` and why.

use std::io::{self, BufRead as _, Write as _};

use wave_policy::file::{PolicyFile, Values};
use wave_policy::{
    ConnectPorts, ConnectTarget, FilesystemGrant, Level, Policy, Protocol, Resolver, Role, Surface, chain,
};
use wave_sandbox::{AddressRange, Difference, GrowableRange, Instruction, SealPlan, check_filter, filter_on};

type Answer = Result<String, String>;

/// The filter that requests are about.
#[derive(Default)]
struct Subject {
    policy: Policy,
    growable: Vec<GrowableRange>,
    code: Option<AddressRange>,
    landlock_abi: i32,
}

fn main() -> io::Result<()> {
    let mut subject = Subject::default();
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (request, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match request {
            "plan" => Subject::read(rest).map(|read| {
                subject = read;
                "plan".to_owned()
            }),
            "filter" => subject.filter(),
            "check" => subject.check(rest),
            _ => Err(format!("unknown request `{request}`")),
        };
        writeln!(output, "{}", answer.unwrap_or_else(|error| format!("error {error}")))?;
        output.flush()?;
    }
    Ok(())
}

impl Subject {
    fn read(words: &str) -> Result<Self, String> {
        let mut subject = Self { landlock_abi: i32::MAX, ..Self::default() };
        for word in words.split_whitespace() {
            let policy = &mut subject.policy;
            match word.split_once('=').unwrap_or((word, "")) {
                ("policy", path) => read_policy(path, policy)?,
                ("level", level) => policy.level = level.parse::<Level>().map_err(|error| error.to_string())?,
                ("resolver", name) => {
                    let mut all = Resolver::ALL.into_iter();
                    policy.resolver = all.find(|resolver| resolver.as_str() == name).ok_or("unknown resolver")?;
                }
                ("role", "compiler") => policy.role = Role::Compiler,
                ("role", "broker") => policy.role = Role::Broker,
                ("results", _) => policy.prints_results = true,
                ("records", _) => policy.records = true,
                ("dump", _) => policy.dumps = true,
                ("connects", _) => {
                    policy.surface = std::mem::take(&mut policy.surface).with_connections(true);
                    policy.connections = vec![ConnectPorts { protocol: Protocol::Tcp, first: 443, last: 443 }];
                }
                ("growable", range) => {
                    let AddressRange { start: base, len_bytes } = read_range(range)?;
                    subject.growable.push(GrowableRange { base, len_bytes });
                }
                ("code", range) => subject.code = Some(read_range(range)?),
                ("abi", abi) => subject.landlock_abi = abi.parse().map_err(|_| "no number")?,
                _ => return Err(format!("unknown word `{word}`")),
            }
        }
        Ok(subject)
    }

    fn plan(&self) -> SealPlan<'_> {
        SealPlan { growable: &self.growable, guest_code: self.code, ..SealPlan::new(&self.policy) }
    }

    fn filter(&self) -> Answer {
        let program = filter_on(&self.plan(), self.landlock_abi).map_err(|cause| chain(&cause))?;
        Ok(program.into_iter().map(to_hex).collect())
    }

    fn check(&self, program: &str) -> Answer {
        let program = from_hex(program)?;
        Ok(match check_filter(&self.plan(), self.landlock_abi, &program) {
            Ok(paths) => format!("equal {paths}"),
            Err(difference @ Difference::Answer { .. }) => format!("differs {difference}"),
            Err(difference @ (Difference::Unknown(_) | Difference::TooLarge)) => format!("malformed {difference}"),
        })
    }
}

/// Functions, grants, listeners and connections of a policy file.
fn read_policy(path: &str, policy: &mut Policy) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let file = PolicyFile::parse(&text).map_err(|problem| format!("{path}: {problem}"))?;
    let Values { functions, fs, listen, connect, os, .. } =
        file.resolved().map_err(|problem| format!("{path}: {problem}"))?;
    let asks = os.is_some_and(|os| os.asks_for_connections());
    policy.surface = Surface::of_functions(functions.unwrap_or_default()).with_connections(asks);
    policy.connections = connect.iter().flatten().map(ConnectTarget::ports).collect();
    policy.grants = fs.iter().map(|dir| FilesystemGrant { host: (&dir.host).into(), access: dir.access }).collect();
    policy.listeners = listen.unwrap_or_default();
    Ok(())
}

fn read_range(text: &str) -> Result<AddressRange, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
    let (start, len) = text.split_once(':').ok_or("a range is START:LEN")?;
    Ok(AddressRange { start: number(start)?, len_bytes: number(len)? })
}

fn to_hex(Instruction { code, jt, jf, k }: Instruction) -> String {
    format!("{:04x}{jt:02x}{jf:02x}{:08x}", code.swap_bytes(), k.swap_bytes())
}

fn from_hex(text: &str) -> Result<Vec<Instruction>, String> {
    const DIGITS: usize = 16;
    let read = |text: &[u8]| {
        let word = std::str::from_utf8(text).ok().filter(|text| text.len() == DIGITS);
        let word = u64::from_str_radix(word.ok_or("half an instruction")?, 16).map_err(|error| error.to_string())?;
        let [a, b, jt, jf, k @ ..] = word.to_be_bytes();
        Ok(Instruction { code: u16::from_le_bytes([a, b]), jt, jf, k: u32::from_le_bytes(k) })
    };
    text.as_bytes().chunks(DIGITS).map(read).collect()
}
