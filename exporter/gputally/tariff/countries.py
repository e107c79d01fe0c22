"""Carbon dioxide of a kWh by country, for who has no better figure.

Means of the electricity generated in a year, CO2 equivalent over the life cycle of the plants, whole grams.
From Ember's Yearly Electricity Data when 2024 was its latest year. docs/tariffs.md shows them.
"""

YEAR = 2024
# Where there was no 2024 yet.
OLDER = dict.fromkeys(("AE", "BH", "DZ", "HK", "ID", "IL", "IS", "SA"), 2023)

# ISO 3166 alpha-2 -> grams per kWh
GRAMS_PER_KWH = {
    "AE": 493,  # United Arab Emirates
    "AR": 359,  # Argentina
    "AT": 103,  # Austria
    "AU": 552,  # Australia
    "AZ": 633,  # Azerbaijan
    "BA": 638,  # Bosnia and Herzegovina
    "BD": 695,  # Bangladesh
    "BE": 118,  # Belgium
    "BG": 264,  # Bulgaria
    "BH": 902,  # Bahrain
    "BO": 468,  # Bolivia
    "BR": 103,  # Brazil
    "CA": 175,  # Canada
    "CH": 37,  # Switzerland
    "CL": 266,  # Chile
    "CN": 560,  # China
    "CO": 286,  # Colombia
    "CR": 63,  # Costa Rica
    "CY": 512,  # Cyprus
    "CZ": 414,  # Czechia
    "DE": 344,  # Germany
    "DK": 143,  # Denmark
    "DO": 566,  # Dominican Republic
    "DZ": 634,  # Algeria
    "EC": 210,  # Ecuador
    "EE": 341,  # Estonia
    "EG": 572,  # Egypt
    "ES": 146,  # Spain
    "FI": 72,  # Finland
    "FR": 44,  # France
    "GB": 211,  # United Kingdom
    "GE": 143,  # Georgia
    "GR": 320,  # Greece
    "HK": 682,  # Hong Kong
    "HR": 174,  # Croatia
    "HU": 183,  # Hungary
    "ID": 682,  # Indonesia
    "IE": 280,  # Ireland
    "IL": 567,  # Israel
    "IN": 708,  # India
    "IR": 642,  # Iran
    "IS": 28,  # Iceland
    "IT": 288,  # Italy
    "JP": 482,  # Japan
    "KE": 89,  # Kenya
    "KR": 414,  # South Korea
    "KW": 637,  # Kuwait
    "KZ": 802,  # Kazakhstan
    "LT": 139,  # Lithuania
    "LU": 135,  # Luxembourg
    "LV": 136,  # Latvia
    "MA": 578,  # Morocco
    "MD": 632,  # Moldova
    "ME": 414,  # Montenegro
    "MK": 569,  # North Macedonia
    "MT": 484,  # Malta
    "MX": 485,  # Mexico
    "MY": 610,  # Malaysia
    "NG": 508,  # Nigeria
    "NL": 253,  # Netherlands
    "NO": 31,  # Norway
    "NZ": 120,  # New Zealand
    "OM": 545,  # Oman
    "PE": 263,  # Peru
    "PH": 613,  # Philippines
    "PK": 399,  # Pakistan
    "PL": 615,  # Poland
    "PR": 665,  # Puerto Rico
    "PT": 112,  # Portugal
    "QA": 603,  # Qatar
    "RO": 246,  # Romania
    "RS": 673,  # Serbia
    "SA": 696,  # Saudi Arabia
    "SE": 36,  # Sweden
    "SG": 499,  # Singapore
    "SI": 228,  # Slovenia
    "SK": 96,  # Slovakia
    "TH": 555,  # Thailand
    "TN": 560,  # Tunisia
    "TR": 470,  # Türkiye
    "TW": 636,  # Taiwan
    "US": 384,  # United States
    "UY": 97,  # Uruguay
    "VN": 471,  # Viet Nam
    "ZA": 709,  # South Africa
}
