//! Host functions: safe Rust functions that guest code calls directly, without glue code.
//!
//! A host function is a Rust function item, or a closure that captures nothing. Its type identifies it. So the compiler
//! generates one `extern "C"` function for each, which builds a [`Caller`] from the context and calls the function.
//! Nothing else is left after inlining.

use crate::store::InstanceLink;
use crate::trap::{Stop, Trap};
use std::marker::PhantomData;
use wave_contract::abi::{FUEL, HostReturn, host_result_in_register};
use wave_contract::context::{FIRST_MEMORY, MEMORY_BASE, MEMORY_DESCRIPTOR, MEMORY_LEN, RESULTS};
use wave_contract::types::{FuncType, ValType};

/// What a host function can use: the calling instance's memory and the store's data.
pub struct Caller<'a, T> {
    context: *mut u8,
    link: &'a InstanceLink,
    _data: PhantomData<&'a mut T>,
}

impl<T> Caller<'_, T> {
    /// The calling instance's first linear memory, in its current size. Empty if the instance has none.
    pub fn memory(&mut self) -> &mut [u8] {
        self.parts().0
    }

    /// The store's data.
    pub fn data(&mut self) -> &mut T {
        self.parts().1
    }

    /// [`memory`](Self::memory) and [`data`](Self::data) at once.
    pub fn parts(&mut self) -> (&mut [u8], &mut T) {
        let slot = |offset: u32| {
            // SAFETY: `context` is the calling instance's, and a memory's slot lies in every context. Nobody writes the
            // slots after the instance was loaded.
            unsafe { self.context.add((FIRST_MEMORY + offset) as usize).cast::<usize>().read() }
        };
        let base = std::ptr::with_exposed_provenance_mut::<u8>(slot(MEMORY_BASE));
        let descriptor = std::ptr::with_exposed_provenance::<u8>(slot(MEMORY_DESCRIPTOR));
        // SAFETY: the runtime wrote the addresses of a memory and of its descriptor to the slots; `Mapping::address`
        // has exposed the provenance of both. An instance without memory has a descriptor of length 0, and a base that
        // is not null: an empty slice. The memory's first `len` bytes are writable and stay mapped until the store is
        // dropped. Guest code and library calls, which also reach them, do not run during this call, and `&mut self`
        // makes the slice unique.
        let memory = unsafe {
            let len = descriptor.add(MEMORY_LEN as usize).cast::<u64>().read() as usize;
            std::slice::from_raw_parts_mut(base, len)
        };
        // SAFETY: `link.data` is the `T` of the store whose instance made this call ([`HostFunction`] is bound to `T`),
        // it lies outside linear memory, and `&mut self` makes the reference unique.
        let data = unsafe { &mut *self.link.data.cast::<T>() };
        (memory, data)
    }
}

/// A function that guests of a `Store<T>` can import.
pub struct HostFunction<T> {
    pub(crate) code: usize,
    pub(crate) ty: FuncType,
    _store: PhantomData<fn(&mut T)>,
}

impl<T> Clone for HostFunction<T> {
    fn clone(&self) -> Self {
        Self { code: self.code, ty: self.ty.clone(), _store: PhantomData }
    }
}

impl<T: 'static> HostFunction<T> {
    /// Turns a function item, or a closure that captures nothing, into a host function.
    pub fn new<Args>(function: impl IntoHostFunction<T, Args>) -> Self {
        function.into_host_function()
    }

    /// Its signature.
    #[must_use]
    pub const fn ty(&self) -> &FuncType {
        &self.ty
    }
}

/// What stands for a function that a module imports and nobody has. It reads and writes nothing of the guest or the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stub {
    /// Calling it is a trap.
    Trap,
    /// It returns zeros: numbers, vectors, null references.
    Zero,
}

/// Code of host functions with parameters that it ignores: in System V, the caller removes them.
type StubCode = unsafe extern "C" fn(*mut u8) -> HostReturn;

impl Stub {
    /// Address of the code for a function of this type, with this number among those that nobody has.
    pub(crate) fn code(self, number: usize, ty: &FuncType) -> u64 {
        // There is no zero of a reference that cannot be null.
        let has_none = ty.results.iter().any(|ty| matches!(ty, ValType::Ref(ty) if !ty.nullable));
        let code = match self {
            _ if has_none => TRAPS[number.min(TRAPS.len() - 1)],
            Self::Trap => TRAPS[number.min(TRAPS.len() - 1)],
            Self::Zero if host_result_in_register(ty) => zero,
            Self::Zero => zeros,
        };
        code as *const () as u64
    }
}

/// The import with this number is called.
unsafe extern "C" fn trap<const NUMBER: u8>(context: *mut u8) -> HostReturn {
    // SAFETY: guest code passes its own context, and its store lives as long as the guest runs.
    let link = unsafe { InstanceLink::of_context(context) };
    link.stop(Stop::Trap(Trap::UnknownImport(NUMBER)))
}

/// One result or none.
unsafe extern "C" fn zero(context: *mut u8) -> HostReturn {
    // SAFETY: as for `trap`.
    let link = unsafe { InstanceLink::of_context(context) };
    // The deadline's signal stops guest code only (T108).
    if crate::signal::deadline_passed() { link.stop(Stop::Deadline) } else { HostReturn { value: 0, status: 0 } }
}

/// Results in the result area.
unsafe extern "C" fn zeros(context: *mut u8) -> HostReturn {
    // SAFETY: the runtime wrote the address of the store's result area to this slot of every context, and the arena has exposed
    // its provenance. The area has [`FUEL`] bytes in front of the fuel counter, and nobody refers to them: guest code reads them
    // after this call.
    unsafe {
        let results = context.add(RESULTS as usize).cast::<usize>().read();
        std::ptr::with_exposed_provenance_mut::<u8>(results).write_bytes(0, FUEL as usize);
        zero(context)
    }
}

/// A stub for each number, so that a trap says which import was called.
static TRAPS: [StubCode; 256] = {
    macro_rules! row {
        ($high:literal) => {
            row!($high: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
        };
        ($high:literal: $($low:literal)*) => {
            [$(trap::<{ $high * 16 + $low }> as StubCode),*]
        };
    }
    let rows = [
        row!(0),
        row!(1),
        row!(2),
        row!(3),
        row!(4),
        row!(5),
        row!(6),
        row!(7),
        row!(8),
        row!(9),
        row!(10),
        row!(11),
        row!(12),
        row!(13),
        row!(14),
        row!(15),
    ];
    let mut all: [StubCode; 256] = [zero; 256];
    let mut at = 0;
    while at < all.len() {
        all[at] = rows[at / 16][at % 16];
        at += 1;
    }
    all
};

/// Functions that can be host functions: `fn(&mut Caller<T>, params…) -> Result<result, Stop>`, up to ten parameters.
pub trait IntoHostFunction<T, Args> {
    /// See [`HostFunction::new`].
    fn into_host_function(self) -> HostFunction<T>;
}

/// Types that a host function can take.
pub trait HostParam: Copy {
    /// The WebAssembly type.
    const TYPE: ValType;
}

/// Types that a host function can return.
pub trait HostResult {
    /// The WebAssembly types.
    const TYPES: &'static [ValType];
    /// The result as compiled code reads it.
    fn into_bits(self) -> u64;
}

macro_rules! host_values {
    ($($ty:ty, $val:ident, $value:ident => $bits:expr;)*) => {$(
        impl HostParam for $ty {
            const TYPE: ValType = ValType::$val;
        }
        impl HostResult for $ty {
            const TYPES: &'static [ValType] = &[ValType::$val];
            fn into_bits(self) -> u64 {
                let $value = self;
                $bits
            }
        }
    )*};
}

host_values! {
    i32, I32, value => u64::from(value.cast_unsigned());
    u32, I32, value => u64::from(value);
    i64, I64, value => value.cast_unsigned();
    u64, I64, value => value;
    f32, F32, value => u64::from(value.to_bits());
    f64, F64, value => value.to_bits();
}

impl HostResult for () {
    const TYPES: &'static [ValType] = &[];
    fn into_bits(self) -> u64 {
        0
    }
}

macro_rules! host_functions {
    ($($arg:ident)*) => {
        impl<T: 'static, F, R: HostResult, $($arg: HostParam,)*> IntoHostFunction<T, (R, $($arg,)*)> for F
        where
            F: Fn(&mut Caller<'_, T>, $($arg,)*) -> Result<R, Stop> + Copy + 'static,
        {
            fn into_host_function(self) -> HostFunction<T> {
                #[allow(non_snake_case, reason = "parameters are named after their types")]
                #[allow(clippy::too_many_arguments, reason = "hostcalls have up to ten")]
                unsafe extern "C" fn call<T: 'static, F, R: HostResult, $($arg: HostParam,)*>(
                    context: *mut u8,
                    $($arg: $arg,)*
                ) -> HostReturn
                where
                    F: Fn(&mut Caller<'_, T>, $($arg,)*) -> Result<R, Stop> + Copy,
                {
                    // SAFETY: `F` has no size and is `Copy`, so any address holds one; that one exists was shown by the
                    // value passed to `into_host_function`.
                    let function = unsafe { std::ptr::NonNull::<F>::dangling().read() };
                    // SAFETY: guest code passes its own context, and its store lives as long as the guest runs.
                    let link = unsafe { InstanceLink::of_context(context) };
                    let mut caller = Caller { context, link, _data: PhantomData };
                    match function(&mut caller, $($arg,)*) {
                        // The deadline's signal stops guest code only. It would hardly ever interrupt a guest that spends
                        // its time in hostcalls (T108).
                        Ok(_) if crate::signal::deadline_passed() => link.stop(Stop::Deadline),
                        Ok(result) => HostReturn { value: result.into_bits(), status: 0 },
                        Err(stop) => link.stop(stop),
                    }
                }
                const { assert!(size_of::<F>() == 0, "a host function captures nothing") };
                HostFunction {
                    code: call::<T, F, R, $($arg,)*> as *const () as usize,
                    ty: FuncType::new([$($arg::TYPE,)*], R::TYPES),
                    _store: PhantomData,
                }
            }
        }
    };
}

host_functions!();
host_functions!(A);
host_functions!(A B);
host_functions!(A B C);
host_functions!(A B C D);
host_functions!(A B C D E);
host_functions!(A B C D E G);
host_functions!(A B C D E G H);
host_functions!(A B C D E G H I);
host_functions!(A B C D E G H I J);
host_functions!(A B C D E G H I J K);
