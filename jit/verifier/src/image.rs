//! All functions of an image, on several threads.

use crate::certificate::Certificate;
use crate::check::{self, Accepted};
use crate::convention::stack_bytes;
use crate::declarations::{self, DeclarationError};
use crate::function::{self, Scratch};
use crate::places::Places;
use crate::refusal::{Refusal, Rule, UnitName};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use wave_contract::context::Addressing;
use wave_contract::image::{CodeImage, CodeRange, TEXT_PADDING};
use wave_contract::module::ModuleInfo;
use wave_contract::types::{FuncType, SignatureId, TypeIds};

/// Stack of a thread. The environment (`RUST_MIN_STACK`) does not change it.
const STACK_BYTES: usize = 2 << 20;

/// Maximum number of refusals that are reported.
const MAX_REFUSALS: usize = 100_000;

/// What code is verified against, besides the module itself. None of it comes from the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How code reaches its context, at the addresses that the runtime has chosen.
    pub addressing: Addressing,
    /// The ids of every type, from the runtime.
    pub signatures: Vec<TypeIds>,
    /// For every imported function, whether the host implements it.
    pub host_imports: Vec<bool>,
}

/// The tables of an image, entry by entry.
pub struct Tables {
    traps: Vec<(u32, u8)>,
    sources: Vec<(u32, u32)>,
}

impl Tables {
    pub fn of(image: &CodeImage) -> Self {
        Self { traps: image.traps.iter().collect(), sources: image.sources.iter().collect() }
    }
}

/// What all functions of an image are verified against.
#[derive(Debug)]
pub struct Shared<'a> {
    pub(crate) info: &'a ModuleInfo,
    pub(crate) host_imports: &'a [bool],
    pub(crate) places: Places<'a>,
    pub(crate) is_fixed: bool,
    starts: Starts,
    types: HashMap<SignatureId, &'a FuncType>,
}

impl<'a> Shared<'a> {
    /// For a module and an image of its code. Also returns the units, in the order of the text.
    pub(crate) fn new(
        image: &'a CodeImage,
        tables: &'a Tables,
        info: &'a ModuleInfo,
        terms: &'a Terms,
    ) -> Result<(Self, Vec<Unit<'a>>), Vec<Refusal>> {
        let Terms { addressing, signatures, host_imports } = terms;
        if image.addressing != *addressing {
            return Err(whole("the code was made for other addresses"));
        }
        // Positions in the module are for messages only, so its length does not matter.
        image.check(info, signatures, usize::MAX).map_err(|error| whole(error.0))?;
        if host_imports.len() != info.imported_functions as usize {
            return Err(whole("there is another number of imports"));
        }
        let shared = Self::of_functions(info, terms, image.functions.iter().map(|function| function.start));
        let shared = shared.ok_or_else(|| whole("the addresses are not those of such a module"))?;
        Ok((shared, units(image, tables, info, signatures)?))
    }

    /// For a module whose functions, imported ones included, begin at these offsets in the text. `None` if the addresses are not
    /// those of such a module. Nothing else is checked, so this is for code that is in no image.
    pub fn of_functions(info: &'a ModuleInfo, terms: &'a Terms, starts: impl IntoIterator<Item = u32>) -> Option<Self> {
        let Terms { addressing, signatures, host_imports } = terms;
        let places = Places::new(info, addressing)?;
        let is_fixed = addressing.fixed().is_some();
        let bytes = |index| Some(stack_bytes(info.function_type(index)?, leading(is_fixed)));
        let starts = starts.into_iter().zip(0..).filter_map(|(start, index)| Some((start, bytes(index)?)));
        let starts = Starts::new(starts.collect());
        // A shape's id stands for any type of that shape, and such types are called the same way.
        let types = signatures.iter().zip(&info.types).filter_map(|(ids, ty)| Some((ids, ty.function()?)));
        let types = types.flat_map(|(ids, ty)| [(ids.shape, ty), (ids.exact, ty)]);
        let types = types.filter(|(id, _)| *id != SignatureId::NULL).collect();
        Some(Self { info, host_imports, places, is_fixed, starts, types })
    }

    /// Bytes of arguments on the stack of the function that begins at an offset.
    pub(crate) fn function_at(&self, start: u32) -> Option<u32> {
        self.starts.get(start)
    }

    /// The type behind an id.
    pub(crate) fn type_of(&self, signature: SignatureId) -> Option<&'a FuncType> {
        self.types.get(&signature).copied()
    }

    /// Integer arguments before a guest function's own.
    pub(crate) const fn leading(&self) -> usize {
        leading(self.is_fixed)
    }
}

const fn leading(is_fixed: bool) -> usize {
    if is_fixed { 0 } else { 1 }
}

/// Where functions begin.
#[derive(Debug)]
struct Starts {
    /// In ascending order, with the bytes of arguments on their stacks.
    sorted: Vec<(u32, u32)>,
    /// For each [`PART_BYTES`] of the text, how many begin before it.
    before: Vec<u32>,
}

/// As large as some functions, so that hardly any has to be passed over.
const PART_BYTES: u32 = 512;

impl Starts {
    fn new(mut sorted: Vec<(u32, u32)>) -> Self {
        sorted.sort_unstable();
        let mut before = vec![0];
        for ((start, _), number) in sorted.iter().zip(0..) {
            before.resize((start / PART_BYTES) as usize + 1, number);
        }
        Self { sorted, before }
    }

    /// What is said of the function that begins at an offset.
    fn get(&self, start: u32) -> Option<u32> {
        let first = *self.before.get((start / PART_BYTES) as usize)?;
        let rest = self.sorted.get(first as usize..)?;
        let found = rest.iter().find(|(other, _)| *other >= start)?;
        (found.0 == start).then_some(found.1)
    }
}

/// Verified code, with the declarations and terms it was verified against.
#[derive(Debug)]
pub struct Verified<T> {
    code: T,
    declarations: ModuleInfo,
    terms: Terms,
    is_proved: bool,
}

impl Verified<CodeImage> {
    /// Accepts code without a proof, for `--no-verify`. [`Self::is_proved`] is false.
    ///
    /// # Errors
    /// [`DeclarationError`] if the module cannot be read.
    pub fn unproved(code: CodeImage, module: &[u8], terms: Terms) -> Result<Self, DeclarationError> {
        Ok(Self { code, declarations: declarations::read(module)?, terms, is_proved: false })
    }

    /// The content of a record with a valid signature.
    pub(crate) const fn recalled(code: CodeImage, declarations: ModuleInfo, terms: Terms) -> Self {
        Self { code, declarations, terms, is_proved: true }
    }

    /// Whether the code was proved, in this run or an earlier one.
    #[must_use]
    pub const fn is_proved(&self) -> bool {
        self.is_proved
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> &CodeImage {
        &self.code
    }

    /// The code, for the runtime that maps it.
    #[must_use]
    pub fn into_code(self) -> CodeImage {
        self.code
    }

    /// The terms it was verified against.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Checks that the code belongs to a module with these declarations.
    ///
    /// # Errors
    /// [`DeclarationError::Disagreement`].
    pub fn is_of(&self, other: &ModuleInfo) -> Result<(), DeclarationError> {
        declarations::agree(&self.declarations, other)
    }
}

/// How much code was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Functions, thunks included.
    pub functions: u64,
    /// Bytes of code.
    pub bytes: u64,
    /// Instructions that can be reached.
    pub instructions: u64,
    /// Instructions examined; one that is examined again counts again.
    pub steps: u64,
    /// What the instructions use.
    pub uses: Uses,
}

/// Operands in memory and transfers of control, each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Linear memory.
    pub memory: u64,
    /// The function's own stack, its arguments included.
    pub frame: u64,
    /// Globals.
    pub globals: u64,
    /// Constant fields of the context.
    pub context: u64,
    /// Lengths of memories and tables.
    pub lengths: u64,
    /// Entries of tables.
    pub entries: u64,
    /// The result area, and the slots of entry thunks.
    pub results: u64,
    /// Constants of the function.
    pub constants: u64,
    /// Calls of functions of the module, tail calls included.
    pub calls: u64,
    /// Calls through a table, of imports and of other code whose address is read from memory.
    pub indirect_calls: u64,
    /// Calls of the host.
    pub host_calls: u64,
    /// Jumps through a table.
    pub jump_tables: u64,
}

impl Uses {
    fn add(&mut self, other: &Self) {
        let Self { memory, frame, globals, context, lengths, entries, results, constants, .. } = self;
        *memory += other.memory;
        *frame += other.frame;
        *globals += other.globals;
        *context += other.context;
        *lengths += other.lengths;
        *entries += other.entries;
        *results += other.results;
        *constants += other.constants;
        self.calls += other.calls;
        self.indirect_calls += other.indirect_calls;
        self.host_calls += other.host_calls;
        self.jump_tables += other.jump_tables;
    }
}

/// Why code must not run.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The module cannot be read.
    #[error(transparent)]
    Declarations(#[from] DeclarationError),
    /// The code breaks rules. For each function the first, in order of the functions.
    #[error("the compiled code breaks a rule")]
    Refused(Vec<Refusal>),
}

/// Verifies every function of an image of a module.
///
/// # Errors
/// [`VerifyError`].
pub fn verify(
    image: CodeImage,
    module: &[u8],
    terms: Terms,
    threads: usize,
) -> Result<(Verified<CodeImage>, Report), VerifyError> {
    verify_watched(image, module, terms, threads, &|_| {})
}

/// As [`verify`]. Each time a function was checked, `each` is called with the number of all, on any of the threads. A module that
/// is passed by value is dropped once it was read.
///
/// # Errors
/// As [`verify`].
pub fn verify_watched(
    image: CodeImage,
    module: impl AsRef<[u8]>,
    terms: Terms,
    threads: usize,
    each: &(dyn Fn(usize) + Sync),
) -> Result<(Verified<CodeImage>, Report), VerifyError> {
    let declarations = declarations::read(module.as_ref())?;
    drop(module);
    let report = verify_all(&image, &declarations, &terms, threads, each).map_err(VerifyError::Refused)?;
    Ok((Verified { code: image, declarations, terms, is_proved: true }, report))
}

/// The functions and entry thunks of an image, each of which can be verified alone, and with other bytes than the image has. For
/// programs that search for code which the verifier should refuse and does not.
pub struct Units<'a> {
    shared: Shared<'a>,
    units: Vec<Unit<'a>>,
}

impl<'a> Units<'a> {
    /// All of them, in the order of the text.
    #[must_use]
    pub fn all(&self) -> &[Unit<'a>] {
        &self.units
    }

    /// Verifies one unit, which is one of these or differs from it in its bytes or tables. That proves nothing of an image:
    /// only [`verify`] gives [`Verified`] code.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn verify(&self, unit: &Unit<'_>, scratch: &mut Scratch) -> Result<(), Refusal> {
        function::verify(&self.shared, unit, scratch).map(drop)
    }

    /// What the verifier finds out about the loops of a unit, which is one of these or differs from it in its bytes or tables.
    ///
    /// # Errors
    /// The first rule that the unit breaks.
    pub fn certify(&self, unit: &Unit<'_>, scratch: &mut Scratch) -> Result<Certificate, Refusal> {
        function::verify(&self.shared, unit, scratch)?;
        Ok(scratch.memory.claims())
    }

    /// Checks a unit, which is one of these or differs from it in its bytes or tables, against any certificate. That proves
    /// nothing of an image either.
    ///
    /// # Errors
    /// The first instruction that is not allowed, or not as the certificate says.
    pub fn check(&self, unit: &Unit<'_>, certificate: &Certificate, scratch: &mut Scratch) -> Result<(), Refusal> {
        check::check(&self.shared, unit, certificate, &mut scratch.memory).map(drop)
    }
}

/// Calls `visit` with the units of an image. None of them was verified yet.
///
/// # Errors
/// [`VerifyError`] for a module that cannot be read, and for tables that are not those of an image of that module.
pub fn with_units<R>(
    image: &CodeImage,
    module: &[u8],
    terms: &Terms,
    visit: impl FnOnce(&Units<'_>) -> R,
) -> Result<R, VerifyError> {
    let declarations = declarations::read(module)?;
    let tables = Tables::of(image);
    let (shared, units) = Shared::new(image, &tables, &declarations, terms).map_err(VerifyError::Refused)?;
    Ok(visit(&Units { shared, units }))
}

/// What was found about functions that were accepted.
#[derive(Default)]
struct Counts {
    functions: u64,
    instructions: u64,
    steps: u64,
    uses: Uses,
}

impl Counts {
    fn add(&mut self, accepted: &Accepted) {
        self.functions += 1;
        self.instructions += accepted.instructions;
        self.steps += accepted.steps;
        self.uses.add(&accepted.uses);
    }
}

fn whole(what: &str) -> Vec<Refusal> {
    vec![Refusal {
        unit: UnitName::Function(0),
        offset: 0,
        instruction: String::new(),
        rule: Rule::Metadata,
        what: what.to_owned(),
    }]
}

fn verify_all(
    image: &CodeImage,
    info: &ModuleInfo,
    terms: &Terms,
    threads: usize,
    each: &(dyn Fn(usize) + Sync),
) -> Result<Report, Vec<Refusal>> {
    let tables = Tables::of(image);
    let (shared, mut units) = Shared::new(image, &tables, info, terms)?;
    let covered: u64 = units.iter().map(|unit| u64::from(unit.range.len)).sum();

    // Large functions first, so that no thread is left with one at the end.
    units.sort_unstable_by_key(|unit| (std::cmp::Reverse(unit.range.len), unit.name));
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut counts, mut refusals, mut scratch) = (Counts::default(), Vec::new(), Scratch::default());
        while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            match function::verify(&shared, unit, &mut scratch) {
                Ok(accepted) => counts.add(&accepted),
                Err(refusal) => refusals.push(refusal),
            }
            each(units.len());
        }
        (counts, refusals)
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        // If the system gives no more threads, those that are there do the work.
        let start = || std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        let others: Vec<_> = (1..threads.max(1)).map_while(|_| start().ok()).collect();
        let own = work();
        let others = others.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked()));
        others.chain([own]).collect()
    });
    let mut refusals: Vec<Refusal> = results.iter().flat_map(|(_, refusals)| refusals.clone()).collect();
    if !refusals.is_empty() {
        refusals.sort_by_key(|refusal| refusal.unit);
        refusals.truncate(MAX_REFUSALS);
        return Err(refusals);
    }
    // Nothing but the check says that a function was accepted.
    let accepted: u64 = results.iter().map(|(counts, _)| counts.functions).sum();
    if accepted != units.len() as u64 {
        return Err(whole("not every function was checked"));
    }
    let mut uses = Uses::default();
    results.iter().for_each(|(counts, _)| uses.add(&counts.uses));
    Ok(Report {
        functions: accepted,
        bytes: covered,
        instructions: results.iter().map(|(counts, _)| counts.instructions).sum(),
        steps: results.iter().map(|(counts, _)| counts.steps).sum(),
        uses,
    })
}

/// A thread that panicked has proved nothing.
fn panicked() -> (Counts, Vec<Refusal>) {
    (Counts::default(), whole("the verifier failed"))
}

/// Offsets in the text, with the table's value for each.
pub type Part<'a, V> = &'a [(u32, V)];

/// A piece of code that is entered from outside: a function or an entry thunk.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    /// Which one.
    pub name: UnitName,
    /// Its location in the text.
    pub range: CodeRange,
    /// Its bytes.
    pub code: &'a [u8],
    /// Of a function, its type; of an entry thunk, the type of the functions it enters.
    pub ty: &'a FuncType,
    /// Its entries in the table of traps: offsets in the text, and the number of a trap code each.
    pub traps: &'a [(u32, u8)],
    /// Its entries in the table of positions: offsets in the text, and a position in the module each.
    pub sources: &'a [(u32, u32)],
}

/// In the order of the text.
fn units<'a>(
    image: &'a CodeImage,
    tables: &'a Tables,
    info: &'a ModuleInfo,
    signatures: &[TypeIds],
) -> Result<Vec<Unit<'a>>, Vec<Refusal>> {
    let functions = (0..).zip(&image.functions).map(|(index, code)| {
        let ty = info.function_type(index).ok_or_else(|| whole("a function has no type"))?;
        Ok((UnitName::Function(index), *code, ty))
    });
    let entries = (0..).zip(&image.entries).map(|(number, entry)| {
        let ty = signatures.iter().position(|ids| ids.exact == entry.signature);
        let ty = ty.and_then(|at| info.types.get(at)?.function());
        Ok((UnitName::Entry(number), entry.code, ty.ok_or_else(|| whole("an entry has no type"))?))
    });
    let mut units = functions.chain(entries).collect::<Result<Vec<_>, Vec<Refusal>>>()?;
    units.sort_unstable_by_key(|(_, range, _)| range.start);
    let ranges = || units.iter().map(|(_, range, _)| *range);
    let apart = |(a, b): (CodeRange, CodeRange)| a.start + a.len <= b.start && a.len > 0;
    if !ranges().zip(ranges().skip(1)).all(apart) {
        return Err(whole("functions overlap"));
    }
    let starts = ranges().map(|range| range.start as usize).chain([image.text.len()]);
    let ends = [0].into_iter().chain(ranges().map(|range| (range.start + range.len) as usize));
    let is_padding = |bytes: &[u8]| bytes.iter().all(|byte| *byte == TEXT_PADDING);
    if !ends.zip(starts).all(|(end, start)| image.text.get(end..start).is_some_and(is_padding)) {
        return Err(whole("bytes between functions are not the padding of the linker"));
    }
    let traps = distribute(&tables.traps, ranges())?;
    let sources = distribute(&tables.sources, ranges())?;
    let parts = units.into_iter().zip(traps).zip(sources);
    let unit = |(((name, range, ty), traps), sources): (((_, CodeRange, _), _), _)| Unit {
        name,
        range,
        // `CodeImage::check` has checked that the range lies in the text.
        code: image.text.get(range.start as usize..(range.start + range.len) as usize).unwrap_or_default(),
        ty,
        traps,
        sources,
    };
    Ok(parts.map(unit).collect())
}

/// The entries of a table for each unit. Both are in ascending order.
fn distribute<V>(
    entries: Part<'_, V>,
    units: impl Iterator<Item = CodeRange>,
) -> Result<Vec<Part<'_, V>>, Vec<Refusal>> {
    let mut rest = entries;
    let part = |range: CodeRange| {
        let count = rest.iter().take_while(|(offset, _)| range.contains(*offset)).count();
        let (part, others) = rest.split_at(count);
        rest = others;
        part
    };
    let parts = units.map(part).collect();
    if rest.is_empty() { Ok(parts) } else { Err(whole("a table speaks of bytes between functions")) }
}
