"""Words of generated container names: an adjective, and the surname of somebody who moved computing or science."""

from __future__ import annotations

_ADJECTIVES = (
    "able airy ample apt bold brave breezy bright brisk calm candid careful cheerful civil clear clever "
    "cosy crisp curious daring deft eager earnest easy fair famous fearless festive fond frank free fresh "
    "gentle glad golden graceful grand hardy helpful honest hopeful humble jolly jovial keen kind lively "
    "loyal lucid lucky mellow merry mild modest neat nimble noble patient placid plucky polite proud quick "
    "quiet ready robust sage serene sharp shiny silent sincere smart snug sober solid spry steady sturdy "
    "sunny swift tender tidy trusty upbeat vivid warm wise witty worthy zesty"
)

_SURNAMES = (
    "abel allen babbage backus banach bardeen bell berners blackwell bohr boole booth borg brattain brooks "
    "cajal cantor carson cerf church clarke codd conway cray curie dahl darwin dijkstra dirac einstein "
    "engelbart erdos euclid euler faraday fermat fermi feynman floyd franklin galileo gauss germain goldberg "
    "goldwasser hamilton hamming haslett hawking hertz hilbert hoare hodgkin hopper hypatia iverson jackson "
    "johnson kahn karp kay keller kepler kernighan khorana kilby knuth kovalevskaya lamarr lamport leakey "
    "leibniz lederman liskov lovelace maxwell mayer mccarthy mcclintock mendel mendeleev minsky mirzakhani "
    "morse moser napier neumann newton nightingale noether nygaard panini pascal pasteur payne perlman pike "
    "planck poincare ptolemy ramanujan ride ritchie roentgen saha sammet shannon shockley stallman "
    "stonebraker sutherland swartz tesla thompson torvalds turing volta wescoff wilbur wiles wilkes wing "
    "wirth wozniak wright wu yalow yonath zhukovsky"
)

ADJECTIVES = tuple(_ADJECTIVES.split())
SURNAMES = tuple(_SURNAMES.split())
