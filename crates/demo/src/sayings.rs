//! What people of the demo say.

/// Beginnings of posts.
pub(crate) const POSTS: &[&str] = &[
    "First frost on the allotment this morning. The kale does not mind.",
    "The night train was only forty minutes late, which counts as early.",
    "Finally found the leak: it was the tap I had replaced.",
    "Read a whole chapter on the tram and missed my stop. Good book.",
    "Bread number twelve. It looks like bread now.",
    "There is a heron on the canal that has clearly seen everything.",
    "Choir practice: we know all the notes, just not in order.",
    "Today's bug was a missing minus sign. It had been there since spring.",
    "The library has a new shelf of maps. I may be some time.",
    "Twenty kilometres by bike, nineteen of them with head wind.",
    "A child on the bus explained volcanoes to me. I learned a lot.",
    "The museum lets you touch the looms. Go.",
    "My neighbour plays the accordion. He is getting better. We all are.",
    "Soup weather has begun.",
    "I repaired the kitchen clock. It now shows the right time twice a day.",
    "The market had quinces, so now I have quinces.",
    "Nobody tells you how much of pottery is waiting.",
    "Saw the space station go over. Waved, as one does.",
    "Our street got new trees. Everybody pretends not to look at them.",
    "Wrote a letter, by hand, to a person. My wrist hurts.",
];

/// Answers to posts of others.
pub(crate) const REPLIES: &[&str] = &[
    "Same here!",
    "I would like to see a picture of that.",
    "This made my day, thank you.",
    "How long did it take?",
    "You have to bring some next time.",
    "Ours did the same last year, it passed.",
    "I am taking notes.",
    "That is the spirit.",
];

/// What pictures show.
pub(crate) const PICTURES: &[(&str, &str)] = &[
    ("From the ridge, an hour before the rain.", "Hills under a wide sky, a low sun above them"),
    ("Evening over the valley.", "A valley at dusk with two ranges of hills"),
    ("The view that I climbed for.", "Green fields in front of hills, the sun near the horizon"),
    ("Clear all the way to the coast.", "A plain with low hills and a pale sky"),
];

/// What an edited post gains.
pub(crate) const EDITS: &[&str] =
    &[" (Edit: fixed a typo.)", " (Edit: it was Tuesday, not Monday.)", " (Edit: thank you all!)"];
