//! Wasmtime, in a process of its own: `peer.py` says what is written to it and what it answers.

use crate::{Bits, Ending, Instance, Trap};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use wave_contract::types::Hierarchy;

/// The process. It ends when this is dropped.
pub struct Wasmtime {
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    process: Child,
}

impl Wasmtime {
    /// The variable that names a Python interpreter which has the package `wasmtime`.
    pub const VARIABLE: &str = "WASMTIME_PYTHON";

    /// Starts it.
    ///
    /// # Errors
    /// That of the operating system.
    pub fn start(python: &OsStr) -> std::io::Result<Self> {
        let mut command = Command::new(python);
        command.args(["-c", include_str!("peer.py")]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let answers = process.stdout.take().map(BufReader::new).ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(Self { requests: process.stdin.take(), answers, process })
    }

    /// An instance, or the trap of its start function or segments.
    pub(crate) fn instantiate(&mut self, bytes: &[u8]) -> Result<Result<Running<'_>, Trap>, String> {
        let answer = self.ask(&format!("instantiate {}", hex(bytes)))?;
        match &*answer {
            "ok" => Ok(Ok(Running(self))),
            stopped => Ok(Err(trap(stopped)?)),
        }
    }

    fn ask(&mut self, request: &str) -> Result<String, String> {
        let io = |error: std::io::Error| format!("no answer: {error}");
        let requests = self.requests.as_mut().ok_or("the process was stopped")?;
        writeln!(requests, "{request}").and_then(|()| requests.flush()).map_err(io)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(io)?;
        match answer.strip_suffix('\n') {
            Some(answer) => Ok(answer.to_owned()),
            None => Err(format!("the process ended after {answer:?}")),
        }
    }
}

impl Drop for Wasmtime {
    fn drop(&mut self) {
        drop(self.requests.take());
        self.process.wait().expect("a child of this process");
    }
}

/// The instance that the process has.
pub(crate) struct Running<'a>(&'a mut Wasmtime);

impl Instance for Running<'_> {
    fn call(&mut self, name: &str, arguments: &[Bits]) -> Result<Ending, String> {
        let mut request = format!("call {}", name_word(name));
        for argument in arguments {
            write!(request, " {}", word(*argument)?).map_err(|error| error.to_string())?;
        }
        let answer = self.0.ask(&request)?;
        let mut words = answer.split(' ');
        match words.next() {
            Some("returned") => Ok(Ending::Returned(words.map(bits).collect::<Result<_, _>>()?)),
            _ => Ok(Ending::Trapped(trap(&answer)?)),
        }
    }

    fn global(&mut self, name: &str) -> Result<Bits, String> {
        let answer = self.0.ask(&format!("global {}", name_word(name)))?;
        bits(answer.strip_prefix("returned ").ok_or_else(|| answer.clone())?)
    }

    fn memory(&mut self, name: &str) -> Result<Vec<u8>, String> {
        let answer = self.0.ask(&format!("memory {}", name_word(name)))?;
        let text = answer.strip_prefix("bytes ").ok_or_else(|| answer.clone())?;
        let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
        text.as_bytes().chunks(2).map(|pair| byte(pair).ok_or_else(|| "no bytes".to_owned())).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// A name: a word even if it is empty.
fn name_word(name: &str) -> String {
    format!("={}", hex(name.as_bytes()))
}

fn word(bits: Bits) -> Result<String, String> {
    Ok(match bits {
        Bits::I32(bits) => format!("i32:{bits:x}"),
        Bits::I64(bits) => format!("i64:{bits:x}"),
        Bits::F32(bits) => format!("f32:{bits:x}"),
        Bits::F64(bits) => format!("f64:{bits:x}"),
        Bits::V128(bits) => format!("v128:{bits:x}"),
        Bits::Null(Hierarchy::Func) => "func:null".to_owned(),
        Bits::Null(Hierarchy::Extern) => "extern:null".to_owned(),
        Bits::Null(Hierarchy::Any) => "any:null".to_owned(),
        Bits::Null(Hierarchy::Exn) => "exn:null".to_owned(),
        Bits::NotNull => return Err("a reference".to_owned()),
    })
}

fn bits(word: &str) -> Result<Bits, String> {
    fn number<T>(text: &str, parse: fn(&str, u32) -> Result<T, std::num::ParseIntError>) -> Result<T, String> {
        parse(text, 16).map_err(|error| format!("{text}: {error}"))
    }
    Ok(match word.split_once(':') {
        Some(("i32", text)) => Bits::I32(number(text, u32::from_str_radix)?),
        Some(("i64", text)) => Bits::I64(number(text, u64::from_str_radix)?),
        Some(("f32", text)) => Bits::F32(number(text, u32::from_str_radix)?),
        Some(("f64", text)) => Bits::F64(number(text, u64::from_str_radix)?),
        Some(("v128", text)) => Bits::V128(number(text, u128::from_str_radix)?),
        Some(("func" | "extern" | "any" | "exn", "some")) => Bits::NotNull,
        Some(("func", "null")) => Bits::Null(Hierarchy::Func),
        Some(("extern", "null")) => Bits::Null(Hierarchy::Extern),
        Some(("any", "null")) => Bits::Null(Hierarchy::Any),
        Some(("exn", "null")) => Bits::Null(Hierarchy::Exn),
        _ => return Err(format!("no value: {word}")),
    })
}

fn trap(answer: &str) -> Result<Trap, String> {
    Ok(match answer {
        "trap UNREACHABLE" => Trap::Unreachable,
        "trap MEMORY_OUT_OF_BOUNDS" => Trap::Memory,
        "trap TABLE_OUT_OF_BOUNDS" => Trap::Table,
        "trap INDIRECT_CALL_TO_NULL" => Trap::NullCall,
        "trap BAD_SIGNATURE" => Trap::Signature,
        "trap INTEGER_DIVISION_BY_ZERO" => Trap::DivisionByZero,
        "trap INTEGER_OVERFLOW" => Trap::Overflow,
        "trap BAD_CONVERSION_TO_INTEGER" => Trap::Conversion,
        "trap NULL_REFERENCE" => Trap::NullReference,
        "trap CAST_FAILURE" => Trap::Cast,
        "trap ARRAY_OUT_OF_BOUNDS" => Trap::Array,
        "exception" | "trap UNCAUGHT_EXCEPTION" => Trap::Exception,
        "limit" | "trap STACK_OVERFLOW" | "trap ALLOCATION_TOO_LARGE" => Trap::Limit,
        other => return Err(format!("there: {other}")),
    })
}
