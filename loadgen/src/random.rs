//! Seeded randomness: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
//! 2014).
//!
//! The same seed gives the same run on every machine, which is the whole requirement. Not for secrets.

/// A stream of random numbers that its seed determines.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

/// The increment of SplitMix64: 2^64 divided by the golden ratio, made odd.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The stream of this seed.
    #[must_use]
    pub const fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    /// An independent stream for one purpose, so that using more numbers for one purpose changes no other.
    #[must_use]
    pub fn for_purpose(seed: u64, purpose: &str) -> Self {
        let mut mixed = Self::from_seed(seed);
        for byte in purpose.bytes() {
            mixed.state = mixed.next() ^ u64::from(byte);
        }
        mixed
    }

    /// 64 random bits.
    #[expect(
        clippy::should_implement_trait,
        reason = "an endless stream; an iterator would wrap each number"
    )]
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from 0 to `bound - 1`; 0 if `bound` is 0.
    ///
    /// The high half of a product (Lemire, 2019) without the rejection step: the bias is below `bound /
    /// 2^64`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next().carrying_mul(bound, 0).1
    }

    /// An index into something of this length.
    ///
    /// # Panics
    /// If `length` is 0.
    pub fn index(&mut self, length: usize) -> usize {
        assert!(length > 0, "nothing to choose from");
        let bound = u64::try_from(length).expect("a length fits in 64 bits");
        usize::try_from(self.below(bound)).expect("below a length that is a usize")
    }

    /// True for this share of the calls; `share` from 0 to 1.
    pub fn chance(&mut self, share: f64) -> bool {
        // 53 bits are what a double holds exactly, so the result is in [0, 1).
        share > 0.0 && ((self.next() >> 11) as f64) * (1.0 / (1_u64 << 53) as f64) < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_numbers_and_purposes_differ() {
        let numbers = |mut random: Random| [random.next(), random.next(), random.next()];
        assert_eq!(numbers(Random::from_seed(7)), numbers(Random::from_seed(7)));
        assert_eq!(numbers(Random::for_purpose(7, "faults")), numbers(Random::for_purpose(7, "faults")));
        assert_ne!(numbers(Random::for_purpose(7, "faults")), numbers(Random::for_purpose(7, "network")));
        assert_ne!(numbers(Random::for_purpose(7, "faults")), numbers(Random::for_purpose(8, "faults")));
    }

    #[test]
    fn first_number_of_seed_zero_is_the_published_one() {
        // The first output of the reference implementation (prng.di.unimi.it/splitmix64.c) for seed 0.
        assert_eq!(Random::from_seed(0).next(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn below_covers_its_range_evenly() {
        let mut random = Random::from_seed(1);
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            counts[random.index(10)] += 1;
        }
        assert!(counts.iter().all(|&count| (850..1_150).contains(&count)), "{counts:?}");
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn chance_meets_its_share() {
        let mut random = Random::from_seed(2);
        let hits = (0..100_000).filter(|_| random.chance(0.005)).count();
        assert!((400..600).contains(&hits), "{hits}");
        assert!(!(0..1_000).any(|_| random.chance(0.0)));
        assert!((0..1_000).all(|_| random.chance(1.0)));
    }
}
