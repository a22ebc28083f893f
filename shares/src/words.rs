//! The 1,024 words of the standard, and finding one of them again from what somebody typed.
//!
//! The list is alphabetical, every word has 4 to 8 letters, and the first four letters of each are its own: that is
//! why four letters are enough to type a word, and why a search needs no more than four bytes a step.

use zeroize::Zeroizing;

/// Letters that tell any word from all others.
const PREFIX: usize = 4;
/// Letters of the longest word.
pub(crate) const LONGEST: usize = 8;

/// Finds a word's place in the list (0 to 1023).
///
/// Takes the full word or any beginning of it of at least four letters, in upper, lower or mixed case. Anything else,
/// surrounding spaces included, is `None`: a word is never guessed (see [`suggestions`] for what to show instead).
///
/// Not constant-time: the word stands on a sheet of paper and has just been typed, and a search through a sorted list
/// of text is a branch on it by nature. The arithmetic on the share's bytes is another matter.
pub fn word_index(typed: &str) -> Option<u16> {
    let mut letters = Zeroizing::new([0u8; LONGEST]);
    let letters = lower_case(typed, letters.as_mut_slice())?;
    let prefix = letters.get(..PREFIX)?;
    let place = WORDS
        .binary_search_by(|word| word.as_bytes()[..PREFIX].cmp(prefix))
        .ok()?;
    WORDS[place]
        .as_bytes()
        .starts_with(letters)
        .then_some(place as u16)
}

/// Words that somebody may have meant: at most five, the nearest first.
///
/// Near is the word that [`word_index`] finds, a word at most two slips away (a slip is a letter too many, too few,
/// wrong, or two neighbours swapped), or one that the typed letters begin; two letters are the least. Show them; do not choose for the reader
/// (SLIP-0039, "Combining the shares": suggest where an error is, never the correction of a failed checksum).
pub fn suggestions(typed: &str) -> Vec<&'static str> {
    const MOST: usize = 5;
    let mut letters = Zeroizing::new([0u8; MOST_TYPED]);
    let Some(letters) = lower_case(typed, letters.as_mut_slice()) else {
        return Vec::new();
    };
    if letters.len() < 2 {
        return Vec::new();
    }
    let meant = word_index(typed);
    let mut near: Vec<(usize, &str)> = Vec::with_capacity(WORDS.len());
    near.extend((0..).zip(WORDS).filter_map(|(index, word)| {
        let slips = match meant == Some(index) {
            true => 0,
            false => slips_between(letters, word.as_bytes()),
        };
        (slips <= 2 || word.as_bytes().starts_with(letters)).then_some((slips, word))
    }));
    near.sort_unstable();
    near.into_iter().take(MOST).map(|(_, word)| word).collect()
}

/// Longest text worth comparing: no word is nearer than three slips to anything longer than ten letters.
const MOST_TYPED: usize = LONGEST + 2;

/// Lower-cases plain letters into `out`; anything but letters, or too many of them, is `None`.
fn lower_case<'a>(typed: &str, out: &'a mut [u8]) -> Option<&'a [u8]> {
    let out = out.get_mut(..typed.len())?;
    for (to, from) in out.iter_mut().zip(typed.bytes()) {
        *to = from
            .is_ascii_alphabetic()
            .then(|| from.to_ascii_lowercase())?;
    }
    Some(out)
}

/// Optimal string alignment distance: insertions, deletions, substitutions, swaps of neighbours.
fn slips_between(typed: &[u8], word: &[u8]) -> usize {
    let mut table = Zeroizing::new([[0usize; LONGEST + 1]; MOST_TYPED + 1]);
    for (i, row) in table.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in table[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=typed.len() {
        for j in 1..=word.len() {
            let wrong = usize::from(typed[i - 1] != word[j - 1]);
            let mut least = (table[i - 1][j] + 1)
                .min(table[i][j - 1] + 1)
                .min(table[i - 1][j - 1] + wrong);
            if i > 1 && j > 1 && typed[i - 1] == word[j - 2] && typed[i - 2] == word[j - 1] {
                least = least.min(table[i - 2][j - 2] + 1);
            }
            table[i][j] = least;
        }
    }
    table[typed.len()][word.len()]
}

/// The words by number, as SLIP-0039's `wordlist.txt` has them.
#[rustfmt::skip]
pub const WORDS: [&str; 1024] = [
    "academic", "acid", "acne", "acquire", "acrobat", "activity", "actress", "adapt", "adequate", "adjust", "admit",
    "adorn", "adult", "advance", "advocate", "afraid", "again", "agency", "agree", "aide", "aircraft", "airline",
    "airport", "ajar", "alarm", "album", "alcohol", "alien", "alive", "alpha", "already", "alto", "aluminum",
    "always", "amazing", "ambition", "amount", "amuse", "analysis", "anatomy", "ancestor", "ancient", "angel",
    "angry", "animal", "answer", "antenna", "anxiety", "apart", "aquatic", "arcade", "arena", "argue", "armed",
    "artist", "artwork", "aspect", "auction", "august", "aunt", "average", "aviation", "avoid", "award", "away",
    "axis", "axle", "beam", "beard", "beaver", "become", "bedroom", "behavior", "being", "believe", "belong",
    "benefit", "best", "beyond", "bike", "biology", "birthday", "bishop", "black", "blanket", "blessing", "blimp",
    "blind", "blue", "body", "bolt", "boring", "born", "both", "boundary", "bracelet", "branch", "brave", "breathe",
    "briefing", "broken", "brother", "browser", "bucket", "budget", "building", "bulb", "bulge", "bumpy", "bundle",
    "burden", "burning", "busy", "buyer", "cage", "calcium", "camera", "campus", "canyon", "capacity", "capital",
    "capture", "carbon", "cards", "careful", "cargo", "carpet", "carve", "category", "cause", "ceiling", "center",
    "ceramic", "champion", "change", "charity", "check", "chemical", "chest", "chew", "chubby", "cinema", "civil",
    "class", "clay", "cleanup", "client", "climate", "clinic", "clock", "clogs", "closet", "clothes", "club",
    "cluster", "coal", "coastal", "coding", "column", "company", "corner", "costume", "counter", "course", "cover",
    "cowboy", "cradle", "craft", "crazy", "credit", "cricket", "criminal", "crisis", "critical", "crowd", "crucial",
    "crunch", "crush", "crystal", "cubic", "cultural", "curious", "curly", "custody", "cylinder", "daisy", "damage",
    "dance", "darkness", "database", "daughter", "deadline", "deal", "debris", "debut", "decent", "decision",
    "declare", "decorate", "decrease", "deliver", "demand", "density", "deny", "depart", "depend", "depict", "deploy",
    "describe", "desert", "desire", "desktop", "destroy", "detailed", "detect", "device", "devote", "diagnose",
    "dictate", "diet", "dilemma", "diminish", "dining", "diploma", "disaster", "discuss", "disease", "dish",
    "dismiss", "display", "distance", "dive", "divorce", "document", "domain", "domestic", "dominant", "dough",
    "downtown", "dragon", "dramatic", "dream", "dress", "drift", "drink", "drove", "drug", "dryer", "duckling",
    "duke", "duration", "dwarf", "dynamic", "early", "earth", "easel", "easy", "echo", "eclipse", "ecology", "edge",
    "editor", "educate", "either", "elbow", "elder", "election", "elegant", "element", "elephant", "elevator",
    "elite", "else", "email", "emerald", "emission", "emperor", "emphasis", "employer", "empty", "ending", "endless",
    "endorse", "enemy", "energy", "enforce", "engage", "enjoy", "enlarge", "entrance", "envelope", "envy", "epidemic",
    "episode", "equation", "equip", "eraser", "erode", "escape", "estate", "estimate", "evaluate", "evening",
    "evidence", "evil", "evoke", "exact", "example", "exceed", "exchange", "exclude", "excuse", "execute", "exercise",
    "exhaust", "exotic", "expand", "expect", "explain", "express", "extend", "extra", "eyebrow", "facility", "fact",
    "failure", "faint", "fake", "false", "family", "famous", "fancy", "fangs", "fantasy", "fatal", "fatigue",
    "favorite", "fawn", "fiber", "fiction", "filter", "finance", "findings", "finger", "firefly", "firm", "fiscal",
    "fishing", "fitness", "flame", "flash", "flavor", "flea", "flexible", "flip", "float", "floral", "fluff", "focus",
    "forbid", "force", "forecast", "forget", "formal", "fortune", "forward", "founder", "fraction", "fragment",
    "frequent", "freshman", "friar", "fridge", "friendly", "frost", "froth", "frozen", "fumes", "funding", "furl",
    "fused", "galaxy", "game", "garbage", "garden", "garlic", "gasoline", "gather", "general", "genius", "genre",
    "genuine", "geology", "gesture", "glad", "glance", "glasses", "glen", "glimpse", "goat", "golden", "graduate",
    "grant", "grasp", "gravity", "gray", "greatest", "grief", "grill", "grin", "grocery", "gross", "group", "grownup",
    "grumpy", "guard", "guest", "guilt", "guitar", "gums", "hairy", "hamster", "hand", "hanger", "harvest", "have",
    "havoc", "hawk", "hazard", "headset", "health", "hearing", "heat", "helpful", "herald", "herd", "hesitate",
    "hobo", "holiday", "holy", "home", "hormone", "hospital", "hour", "huge", "human", "humidity", "hunting",
    "husband", "hush", "husky", "hybrid", "idea", "identify", "idle", "image", "impact", "imply", "improve",
    "impulse", "include", "income", "increase", "index", "indicate", "industry", "infant", "inform", "inherit",
    "injury", "inmate", "insect", "inside", "install", "intend", "intimate", "invasion", "involve", "iris", "island",
    "isolate", "item", "ivory", "jacket", "jerky", "jewelry", "join", "judicial", "juice", "jump", "junction",
    "junior", "junk", "jury", "justice", "kernel", "keyboard", "kidney", "kind", "kitchen", "knife", "knit", "laden",
    "ladle", "ladybug", "lair", "lamp", "language", "large", "laser", "laundry", "lawsuit", "leader", "leaf", "learn",
    "leaves", "lecture", "legal", "legend", "legs", "lend", "length", "level", "liberty", "library", "license",
    "lift", "likely", "lilac", "lily", "lips", "liquid", "listen", "literary", "living", "lizard", "loan", "lobe",
    "location", "losing", "loud", "loyalty", "luck", "lunar", "lunch", "lungs", "luxury", "lying", "lyrics",
    "machine", "magazine", "maiden", "mailman", "main", "makeup", "making", "mama", "manager", "mandate", "mansion",
    "manual", "marathon", "march", "market", "marvel", "mason", "material", "math", "maximum", "mayor", "meaning",
    "medal", "medical", "member", "memory", "mental", "merchant", "merit", "method", "metric", "midst", "mild",
    "military", "mineral", "minister", "miracle", "mixed", "mixture", "mobile", "modern", "modify", "moisture",
    "moment", "morning", "mortgage", "mother", "mountain", "mouse", "move", "much", "mule", "multiple", "muscle",
    "museum", "music", "mustang", "nail", "national", "necklace", "negative", "nervous", "network", "news", "nuclear",
    "numb", "numerous", "nylon", "oasis", "obesity", "object", "observe", "obtain", "ocean", "often", "olympic",
    "omit", "oral", "orange", "orbit", "order", "ordinary", "organize", "ounce", "oven", "overall", "owner", "paces",
    "pacific", "package", "paid", "painting", "pajamas", "pancake", "pants", "papa", "paper", "parcel", "parking",
    "party", "patent", "patrol", "payment", "payroll", "peaceful", "peanut", "peasant", "pecan", "penalty", "pencil",
    "percent", "perfect", "permit", "petition", "phantom", "pharmacy", "photo", "phrase", "physics", "pickup",
    "picture", "piece", "pile", "pink", "pipeline", "pistol", "pitch", "plains", "plan", "plastic", "platform",
    "playoff", "pleasure", "plot", "plunge", "practice", "prayer", "preach", "predator", "pregnant", "premium",
    "prepare", "presence", "prevent", "priest", "primary", "priority", "prisoner", "privacy", "prize", "problem",
    "process", "profile", "program", "promise", "prospect", "provide", "prune", "public", "pulse", "pumps", "punish",
    "puny", "pupal", "purchase", "purple", "python", "quantity", "quarter", "quick", "quiet", "race", "racism",
    "radar", "railroad", "rainbow", "raisin", "random", "ranked", "rapids", "raspy", "reaction", "realize", "rebound",
    "rebuild", "recall", "receiver", "recover", "regret", "regular", "reject", "relate", "remember", "remind",
    "remove", "render", "repair", "repeat", "replace", "require", "rescue", "research", "resident", "response",
    "result", "retailer", "retreat", "reunion", "revenue", "review", "reward", "rhyme", "rhythm", "rich", "rival",
    "river", "robin", "rocky", "romantic", "romp", "roster", "round", "royal", "ruin", "ruler", "rumor", "sack",
    "safari", "salary", "salon", "salt", "satisfy", "satoshi", "saver", "says", "scandal", "scared", "scatter",
    "scene", "scholar", "science", "scout", "scramble", "screw", "script", "scroll", "seafood", "season", "secret",
    "security", "segment", "senior", "shadow", "shaft", "shame", "shaped", "sharp", "shelter", "sheriff", "short",
    "should", "shrimp", "sidewalk", "silent", "silver", "similar", "simple", "single", "sister", "skin", "skunk",
    "slap", "slavery", "sled", "slice", "slim", "slow", "slush", "smart", "smear", "smell", "smirk", "smith",
    "smoking", "smug", "snake", "snapshot", "sniff", "society", "software", "soldier", "solution", "soul", "source",
    "space", "spark", "speak", "species", "spelling", "spend", "spew", "spider", "spill", "spine", "spirit", "spit",
    "spray", "sprinkle", "square", "squeeze", "stadium", "staff", "standard", "starting", "station", "stay", "steady",
    "step", "stick", "stilt", "story", "strategy", "strike", "style", "subject", "submit", "sugar", "suitable",
    "sunlight", "superior", "surface", "surprise", "survive", "sweater", "swimming", "swing", "switch", "symbolic",
    "sympathy", "syndrome", "system", "tackle", "tactics", "tadpole", "talent", "task", "taste", "taught", "taxi",
    "teacher", "teammate", "teaspoon", "temple", "tenant", "tendency", "tension", "terminal", "testify", "texture",
    "thank", "that", "theater", "theory", "therapy", "thorn", "threaten", "thumb", "thunder", "ticket", "tidy",
    "timber", "timely", "ting", "tofu", "together", "tolerate", "total", "toxic", "tracks", "traffic", "training",
    "transfer", "trash", "traveler", "treat", "trend", "trial", "tricycle", "trip", "triumph", "trouble", "true",
    "trust", "twice", "twin", "type", "typical", "ugly", "ultimate", "umbrella", "uncover", "undergo", "unfair",
    "unfold", "unhappy", "union", "universe", "unkind", "unknown", "unusual", "unwrap", "upgrade", "upstairs",
    "username", "usher", "usual", "valid", "valuable", "vampire", "vanish", "various", "vegan", "velvet", "venture",
    "verdict", "verify", "very", "veteran", "vexed", "victim", "video", "view", "vintage", "violence", "viral",
    "visitor", "visual", "vitamins", "vocal", "voice", "volume", "voter", "voting", "walnut", "warmth", "warn",
    "watch", "wavy", "wealthy", "weapon", "webcam", "welcome", "welfare", "western", "width", "wildlife", "window",
    "wine", "wireless", "wisdom", "withdraw", "wits", "wolf", "woman", "work", "worthy", "wrap", "wrist", "writing",
    "wrote", "year", "yelp", "yield", "yoga", "zero",
];

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_list_is_the_standards() {
        let mut hash = Sha256::new();
        for word in WORDS {
            hash.update(word);
            hash.update("\n");
        }
        // SHA-256 of wordlist.txt as published with the standard and inside shamir-mnemonic 0.3.0.
        assert_eq!(
            HEXLOWER.encode(&hash.finalize()),
            "bcc4555340332d169718aed8bf31dd9d5248cb7da6e5d355140ef4f1e601eec3"
        );
    }

    #[test]
    fn the_list_is_sorted_by_four_letters_that_are_each_words_own() {
        assert!(
            WORDS
                .windows(2)
                .all(|pair| pair[0].as_bytes()[..PREFIX] < pair[1].as_bytes()[..PREFIX])
        );
        assert!(
            WORDS
                .iter()
                .all(|word| (PREFIX..=LONGEST).contains(&word.len()))
        );
    }

    #[test]
    fn every_word_is_found_by_every_beginning_of_four_letters_or_more() {
        for (index, word) in WORDS.iter().enumerate() {
            for end in PREFIX..=word.len() {
                assert_eq!(word_index(&word[..end]), Some(index as u16));
                assert_eq!(word_index(&word[..end].to_uppercase()), Some(index as u16));
            }
            assert_eq!(word_index(&word[..PREFIX - 1]), None);
            assert_eq!(word_index(&format!("{word}s")), None);
            assert_eq!(word_index(&format!(" {word}")), None);
        }
        for not_a_word in [
            "",
            "a",
            "zzzz",
            "acadx",
            "academix",
            "\u{e4}cademic",
            "acad\u{0}",
            "academicacademic",
        ] {
            assert_eq!(word_index(not_a_word), None, "{not_a_word:?}");
        }
    }

    #[test]
    fn one_slip_in_a_word_suggests_that_word() {
        for word in WORDS {
            let swapped = {
                let mut letters = word.as_bytes().to_vec();
                letters.swap(1, 2);
                String::from_utf8(letters).unwrap()
            };
            let missing = format!("{}{}", &word[..2], &word[3..]);
            let doubled = format!("{}{}", &word[..2], &word[1..]);
            for typed in [swapped, missing, doubled] {
                assert!(suggestions(&typed).contains(&word), "{typed} for {word}");
            }
        }
        assert_eq!(suggestions("acad").first(), Some(&"academic"));
        assert!(suggestions("qqqqqqq").is_empty());
        assert!(suggestions("a").is_empty());
        assert!(suggestions("a word of many letters").is_empty());
    }

    #[test]
    fn no_two_words_are_one_slip_apart() {
        for (i, a) in WORDS.iter().enumerate() {
            for b in &WORDS[i + 1..] {
                assert!(slips_between(a.as_bytes(), b.as_bytes()) >= 2, "{a} {b}");
            }
        }
    }
}
