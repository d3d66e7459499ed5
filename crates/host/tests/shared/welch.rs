//! Welch's t between two lists of times.
#![allow(dead_code, reason = "every test uses a part of it")]

use std::time::Duration;

/// Beyond this two lists are not of one kind (dudect).
pub const LIMIT: f64 = 4.5;
/// Share of the slowest samples that are left out: what else the machine did.
const SLOWEST: f64 = 0.1;

/// Times of one kind.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e6);
    }

    fn below(&self, most: f64) -> Self {
        Self(self.0.iter().copied().filter(|time| *time <= most).collect())
    }

    fn mean_and_error(&self) -> (f64, f64) {
        let n = self.0.len() as f64;
        let mean = self.0.iter().sum::<f64>() / n;
        let variance = self.0.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    }
}

/// Welch's t of two lists, without what is slower than nine tenths of both together: one limit for both, so that it favours
/// neither.
pub fn t(a: &Samples, b: &Samples) -> f64 {
    let mut all = [a.0.as_slice(), &b.0].concat();
    all.sort_by(f64::total_cmp);
    let kept = (all.len() as f64 * (1.0 - SLOWEST)).ceil() as usize;
    let most = all[kept.clamp(1, all.len()) - 1];
    plain(&a.below(most), &b.below(most))
}

fn plain(a: &Samples, b: &Samples) -> f64 {
    let ((mean_a, error_a), (mean_b, error_b)) = (a.mean_and_error(), b.mean_and_error());
    (mean_a - mean_b) / (error_a + error_b).sqrt()
}

/// A few dice; the same seed rolls the same.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % n as u64).unwrap()
    }

    /// Zero to N - 1 in some order.
    pub fn order<const N: usize>(&mut self) -> [usize; N] {
        let mut order: [usize; N] = std::array::from_fn(|n| n);
        for n in (1..N).rev() {
            order.swap(n, self.below(n + 1));
        }
        order
    }
}

/// That this measures what it should: a textbook's example, two lists of one kind, and a difference of a twentieth.
pub fn is_right() {
    // The usual worked example: t = -2.46.
    let a1 = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4];
    let b1 = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4];
    let found = plain(&Samples(a1.to_vec()), &Samples(b1.to_vec()));
    assert!((found + 2.46).abs() < 0.01, "{found}");
    let mut dice = Dice(1);
    let mut noisy = |more: f64| {
        // Now and then the machine does something else.
        let one = |dice: &mut Dice| {
            1_000.0 + more + dice.below(400) as f64 + if dice.below(20) == 0 { 9_000.0 } else { 0.0 }
        };
        Samples((0..2_000).map(|_| one(&mut dice)).collect())
    };
    let (a, b, slower) = (noisy(0.0), noisy(0.0), noisy(60.0));
    assert!(t(&a, &b).abs() < LIMIT, "{}", t(&a, &b));
    assert!(t(&a, &slower) < -LIMIT, "{}", t(&a, &slower));
    let order: std::collections::BTreeSet<[usize; 3]> = (0..200).map(|_| dice.order()).collect();
    assert_eq!(order.len(), 6, "every order comes up");
}
