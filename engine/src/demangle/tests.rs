use super::*;
use std::time::{Duration, Instant};

/// Names that `rustc` and `clang` have written, and what they stand for. `c++filt` agrees, but for spaces.
const NAMES: [(&str, &str); 46] = [
    (
        "_ZN4core3ptr85drop_in_place$LT$std..rt..lang_start$LT$$LP$$RP$$GT$..$u7b$$u7b$closure$u7d$$u7d$$GT$17h0123456789abcdefE",
        "core::ptr::drop_in_place<std::rt::lang_start<()>::{{closure}}>",
    ),
    (
        "_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar17h930b740aa94f1d3aE",
        "<Test + 'static as foo::Bar<Test>>::bar",
    ),
    ("_ZN13test$u20$test4foob17h05af221e174051e9E.llvm.8A1B", "test test::foob"),
    ("_ZN3foo17h05af221e174051e9E.part.0", "foo [clone .part.0]"),
    ("_RNvC6_123foo3bar", "123foo::bar"),
    ("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"),
    ("_RNCNCNvNtCs1234_7mycrate3foo3bar00B8_", "mycrate::foo::bar::{closure#0}::{closure#0}"),
    ("_RNCNvC7mycrate4mains_0", "mycrate::main::{closure#1}"),
    ("_RINvC3foo3barAtj8_KpINtC3std3VecReERL_hE", "foo::bar::<[u16; 8], _, std::Vec<&str>, &u8>"),
    ("_RNvXNtC3foo3modNtB2_5ThingNtC4core5Clone5clone", "<foo::mod::Thing as core::Clone>::clone"),
    ("_RNvMs_C3fooINtB4_4ListlE3new", "<foo::List<i32>>::new"),
    ("_RNvYNtC3foo5ThingNtB4_5Trait4call", "<foo::Thing as foo::Trait>::call"),
    ("_RINvC3foo3barFG_UKCRL0_hEuE", "foo::bar::<for<'a> unsafe extern \"C\" fn(&'a u8)>"),
    (
        "_RINvC3foo3barFK11vector_callmETPhOclEE",
        "foo::bar::<extern \"vector-call\" fn(u32) -> (*const u8, *mut char, i32)>",
    ),
    (
        "_RINvC3foo3barDNtC4core2FnINtBe_5OtherlEp6OutputTjEEL_E",
        "foo::bar::<dyn core::Fn + core::Other<i32, Output = (usize,)>>",
    ),
    (
        "_RINvC3foo3barKb1_Kc41_Kan5_Kyffffffffffffffff_Koff0000000000000000_E",
        "foo::bar::<true, 'A', -5, 18446744073709551615, 0xff0000000000000000>",
    ),
    ("_RNvC7mycrateu8gdel_5qa", "mycrate::gödel"),
    ("_RNqCs4fqI2P2rA04_11utf8_identsu30____7hkackfecea1cbdathfdh9hlq6y", "utf8_idents::საჭმელად_გემრიელი_სადილი"),
    ("_ZN4$u1$17h0123456789abcdefE", "\u{1}"),
    ("_Z3foov", "foo()"),
    ("_Z3fooiPKcz", "foo(int, char const*, ...)"),
    ("_ZN3foo3barEv", "foo::bar()"),
    ("_ZNK3foo3bar3bazERKS0_", "foo::bar::baz(foo::bar const&) const"),
    ("_ZNO1A1fEv", "A::f() &&"),
    ("_ZN3FooC2Ev", "Foo::Foo()"),
    ("_ZN3FooIiED0Ev", "Foo<int>::~Foo()"),
    ("_ZSt4moveIRiEONSt16remove_referenceIT_E4typeEOS2_", "std::remove_reference<int&>::type&& std::move<int&>(int&)"),
    ("_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector<int, std::allocator<int>>::push_back(int&&)"),
    ("_ZN4llvm3mapIJicEEEvDpRKT_", "void llvm::map<int, char>(int const&, char const&)"),
    ("_ZN4llvm3mapIJEEEvDpT_", "void llvm::map<>()"),
    ("_Z1fPFivE", "f(int (*)())"),
    ("_Z1fRA10_KiM1AFvvEMS2_l", "f(int const (&) [10], void (A::*)(), long A::*)"),
    ("_ZN1AplERKS_", "A::operator+(A const&)"),
    ("_ZN1AcvbEv", "A::operator bool()"),
    ("_Znwm", "operator new(unsigned long)"),
    ("_ZlsRSoRK1A", "operator<<(std::ostream&, A const&)"),
    ("_ZlsIiEvT_", "void operator<< <int>(int)"),
    ("_ZZ4mainENKUlicE0_clEic", "main::{lambda(int, char)#2}::operator()(int, char) const"),
    ("_ZZN1A1fEvE1x_0", "A::f()::x"),
    ("_ZN12_GLOBAL__N_11fEv", "(anonymous namespace)::f()"),
    ("_ZN1AIXadL_Z1fvEEE1gEv", "_ZN1AIXadL_Z1fvEEE1gEv"),
    ("_ZN1AILb1ELi5ELjn3ELc65EL1B2EE1gEv", "A<true, 5, -3u, (char)65, (B)2>::g()"),
    ("_ZTV3Foo", "vtable for Foo"),
    ("_ZThn16_N3Foo3barEv", "non-virtual thunk to Foo::bar()"),
    ("_ZNSsC1ERKSs", "std::string::basic_string(std::string const&)"),
    ("_ZN1A1fB5cxx11Ev.isra.0", "A::f[abi:cxx11]() [clone .isra.0]"),
];

#[test]
fn names_of_rust_and_cpp_are_as_in_their_source() {
    for (name, expected) in NAMES {
        assert_eq!(demangled(name).unwrap_or_else(|| name.to_owned()), expected, "{name}");
    }
}

#[test]
fn other_names_stay_as_they_are() {
    let others = [
        "",
        "_",
        "_Z",
        "_R",
        "_ZN",
        "main",
        "_start",
        "__main_void",
        "_Zebra",
        "_Rust",
        "std::move<int>(int&&)",
        "_ZN3fooE.é",
        "_Z3foov\n",
        "_ZN99999999999999999999fooEv",
        "_ZS_",
        "_ZS1_v",
        "_Z1fT_",
        "_RNvC3foo",
        "_RB_",
        "_RNvB_1a",
        "_RINvC3foo3barFGzzzzzzzzzzzz_uEE",
        "_ZN5$u1f$17h0123456789abcdef",
    ];
    for name in others {
        assert_eq!(demangled(name), None, "{name}");
    }
}

/// Numbers that follow from a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("below a usize")
    }
}

/// Shows a name that a module may have: the result is bounded, and so is the time, by a bound that only a hang exceeds.
fn is_harmless(name: &str) -> bool {
    let start = Instant::now();
    let found = demangled(name);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?} for {name}", start.elapsed());
    assert!(found.as_deref().is_none_or(|text| text.len() <= MOST_BYTES), "{name}");
    found.is_some()
}

#[test]
fn t75_no_name_breaks_it() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let letters = b"_ZNRSTIJEKFPQMCDXYLABGUlvijcuetdpse0123456789h$.u_";
    let mut understood = 0;
    for round in 0..60_000 {
        let mut name = match round % 3 {
            // A real one with changes,
            0 => NAMES[numbers.below(NAMES.len())].0.as_bytes().to_vec(),
            // two of them,
            1 => [NAMES[numbers.below(NAMES.len())].0, &NAMES[numbers.below(NAMES.len())].0[2..]].concat().into_bytes(),
            // letters that mean something.
            _ => {
                let start = [&b"_R"[..], b"_Z", b"_ZN", b"_RNvC1aINv"][numbers.below(4)];
                let random = (0..numbers.below(200)).map(|_| letters[numbers.below(letters.len())]);
                start.iter().copied().chain(random).collect()
            }
        };
        for _ in 0..numbers.below(4) {
            let at = numbers.below(name.len().max(1));
            match numbers.below(4) {
                0 => name.truncate(at),
                1 if at < name.len() => name[at] = letters[numbers.below(letters.len())],
                2 if at < name.len() => drop(name.remove(at)),
                _ => name.insert(at.min(name.len()), u8::try_from(numbers.below(256)).expect("a byte")),
            }
        }
        understood += u32::from(is_harmless(&String::from_utf8_lossy(&name)));
    }
    // It is no test of refusals alone.
    assert!(understood > 5_000, "{understood}");
}

/// A position as names refer to it.
fn base62(position: usize) -> String {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let (mut rest, mut text) = (position - 1, "_".to_owned());
    loop {
        text.insert(0, char::from(DIGITS[rest % 62]));
        rest /= 62;
        if rest == 0 {
            return text;
        }
    }
}

/// Short names of endless texts, and names as deep as they are long.
#[test]
fn t75_names_that_grow_are_bounded() {
    // Each type is a pair of the one in front, so the text is twice as long.
    let doubling = |count: usize| {
        let (mut name, mut at) = ("INvC1a1bh".to_owned(), "7_".to_owned());
        for _ in 0..count {
            let start = base62(name.len());
            name += &format!("TB{at}B{at}E");
            at = start;
        }
        format!("_R{name}E")
    };
    assert_eq!(demangled(&doubling(2)).as_deref(), Some("a::b::<u8, (u8, u8), ((u8, u8), (u8, u8))>"));
    assert_eq!(demangled(&doubling(40)), None);
    let mut growing = "_Z1fI1AIiiE".to_owned();
    for at in 0..30 {
        let code =
            if at == 0 { "S0_".to_owned() } else { format!("S{}_", char::from(b'0' + u8::try_from(at % 10).unwrap())) };
        growing += &format!("1BI{code}{code}E");
    }
    growing += "EvT_";
    is_harmless(&growing);
    for (open, close) in [
        ("P", "i"),
        ("RK", "i"),
        ("F", "iE"),
        ("A1_", "c"),
        ("N", "E"),
        ("1AI", "E"),
        ("Z", "E"),
        ("M1A", "i"),
        ("Dp", "i"),
    ] {
        is_harmless(&format!("_Z1f{}{}", open.repeat(10_000), close.repeat(10_000)));
    }
    for open in ["R", "S", "T", "A", "NvC1a", "INv", "FG_", "D", "Y", "M", "X", "B_", "NC", "Kp", "P"] {
        is_harmless(&format!("_R{}", open.repeat(10_000)));
        is_harmless(&format!("_RINvC1a1b{}", open.repeat(10_000)));
    }
    let long = "x".repeat(MOST_BYTES + 1);
    assert_eq!(demangled(&format!("_Z{}{long}v", long.len())), None);
    let fits = "x".repeat(MOST_BYTES - 2);
    assert_eq!(demangled(&format!("_Z{}{fits}v", fits.len())), Some(format!("{fits}()")));
    // An empty pack inside of another has no text, however often.
    is_harmless(&format!("_Z1fIJ{}EEvDpT_", "JE".repeat(5_000)));
}
