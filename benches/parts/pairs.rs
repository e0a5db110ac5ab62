//! Two sides in one run, interleaved: A B B A A B B A. Neighbours of the same side tell what the machine does by
//! itself: an effect that is not twice as large is none.

use tollbridge_rig::Result;

use super::steady::Spread;

/// What both sides came to, pair by pair.
#[derive(Debug)]
pub struct Pairs<A, B> {
    pub pairs: Vec<(A, B)>,
    a_first: Vec<bool>,
}

pub fn interleaved<A, B>(
    count: usize,
    mut a: impl FnMut() -> Result<A>,
    mut b: impl FnMut() -> Result<B>,
) -> Result<Pairs<A, B>> {
    let (mut pairs, mut a_first) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for number in 0..count {
        let is_a_first = number.is_multiple_of(2);
        pairs.push(match is_a_first {
            true => {
                let first = a()?;
                (first, b()?)
            }
            false => {
                let first = b()?;
                (a()?, first)
            }
        });
        a_first.push(is_a_first);
    }
    Ok(Pairs { pairs, a_first })
}

impl<A, B> Pairs<A, B> {
    /// B over A, of each pair.
    pub fn ratio(&self, a: impl Fn(&A) -> f64, b: impl Fn(&B) -> f64) -> Option<Spread> {
        Spread::of(self.pairs.iter().map(|(left, right)| b(right) / a(left)))
    }

    pub fn of_a(&self, figure: impl Fn(&A) -> f64) -> Option<Spread> {
        Spread::of(self.pairs.iter().map(|(a, _)| figure(a)))
    }

    pub fn of_b(&self, figure: impl Fn(&B) -> f64) -> Option<Spread> {
        Spread::of(self.pairs.iter().map(|(_, b)| figure(b)))
    }

    /// The later over the earlier of neighbours of the same side; `None` of a single pair.
    pub fn same(&self, a: impl Fn(&A) -> f64, b: impl Fn(&B) -> f64) -> Option<Spread> {
        let neighbours = self.pairs.windows(2).zip(&self.a_first);
        Spread::of(neighbours.filter_map(|(pair, a_first)| match (pair, a_first) {
            // A B, then B A: the two of B stand side by side.
            ([(_, earlier), (_, later)], true) => Some(b(later) / b(earlier)),
            ([(earlier, _), (later, _)], false) => Some(a(later) / a(earlier)),
            _ => None,
        }))
    }
}
