"""Sentences to embed: pairs that say the same in other words, each on a subject of its own.

An embedding is worth something if, of all other sentences, it lies nearest to its partner.
"""

PAIRS = (
    ("The cat is sleeping on the warm windowsill.", "A kitten naps beside the sunny window."),
    ("A man is playing the guitar on a stage.", "Someone performs a song on a guitar in concert."),
    (
        "How do I bake sourdough bread at home?",
        "What is a simple way to make my own loaf of bread?",
    ),
    ("Shares fell sharply after the announcement.", "The news sent stock prices tumbling."),
    ("The river floods the valley every spring.", "Each year in April the valley is under water."),
    ("She wrote a long letter to her grandmother.", "Her grandma received several pages from her."),
    ("The match ended in a draw.", "Neither team won the game."),
    ("Doctors recommend regular exercise.", "Physicians advise people to work out often."),
    ("Where is the nearest railway station?", "Can you tell me the way to the closest train stop?"),
    ("The museum opens at nine in the morning.", "Visitors can enter the gallery from 9 a.m."),
    ("Rain is expected over the weekend.", "The forecast for Saturday and Sunday is wet."),
    ("The new law limits how much rent may rise.", "Landlords may now raise rents only so far."),
    ("Bees visit flowers to collect nectar.", "Insects gather sweet juice from blossoms."),
    ("My laptop does not turn on any more.", "The notebook computer no longer starts."),
    (
        "The bridge is closed for repairs until June.",
        "Until summer nobody can cross: it is mended.",
    ),
    ("He has been learning Spanish for two years.", "For some time now he studies a new language."),
    ("The moon moves the oceans and makes the tides.", "Ebb and flow come from lunar gravity."),
    ("The soup needs a little more salt.", "This broth tastes rather bland."),
    ("Two children build a castle out of sand.", "Kids are playing with sand at the beach."),
    ("The company hired fifty engineers.", "Many new technical employees joined the firm."),
    ("A fire destroyed the old theatre last night.", "The historic playhouse burned down."),
    ("Vaccines protect people from the flu.", "A shot can prevent influenza."),
    ("The mountain path is steep and slippery.", "Hiking up that trail is hard and dangerous."),
    ("The president will visit Japan next week.", "A state visit to Tokyo is planned soon."),
    ("I would like to return these shoes.", "Can I give this footwear back for a refund?"),
    ("Wind turbines produce electricity.", "Power is generated from moving air."),
    ("The thief escaped through the back door.", "The burglar got away at the rear exit."),
    ("Her first novel won an important prize.", "The author's debut book received an award."),
    ("Please turn the volume down.", "The music is too loud, make it quieter."),
    ("The train to Berlin is forty minutes late.", "The rail service to Berlin is delayed."),
    ("Plants use sunlight to make sugar.", "Leaves turn light into food by photosynthesis."),
    ("The dog chased the ball across the park.", "A puppy ran after a toy on the grass."),
    ("They painted the kitchen yellow.", "The room where they cook got a new colour."),
    ("The jury found the accused not guilty.", "The defendant was acquitted in court."),
    ("Coffee keeps me awake at night.", "Caffeine disturbs my sleep."),
    ("The telescope shows distant galaxies.", "Astronomers observe stars far away."),
    ("A broken pipe flooded the cellar.", "There is water in the basement from a leak."),
    ("He forgot his password again.", "Once more he cannot log in to his account."),
    ("The orchestra plays Beethoven tonight.", "This evening there is a classical concert."),
    ("Farmers harvest the wheat in August.", "The grain is brought in late in summer."),
    ("The surgeon operated for six hours.", "The operation at the hospital took very long."),
    ("The bus driver greeted every passenger.", "Everyone who got on was welcomed at the wheel."),
    ("Prices have risen faster than wages.", "Inflation is eating up people's pay."),
    ("She knitted a red scarf for the winter.", "She made warm woollen clothing by hand."),
    ("Whales sing to each other under water.", "Marine mammals communicate by sounds."),
    (
        "The actor forgot his lines on the first night.",
        "At the premiere a performer lost his text.",
    ),
    ("Scientists found bones of a new dinosaur.", "An unknown species was dug up as a fossil."),
    ("The elevator is out of order, take the stairs.", "The lift is broken, so you have to walk."),
)

CALIBRATION = tuple(one for pair in PAIRS[0::2] for one in pair)
"""What ranges are measured on."""

HELD_OUT = tuple(one for pair in PAIRS[1::2] for one in pair)
"""What results are told of; partners stand side by side."""
