"""EcomDialog: a shop that offers consumer credit and coupons."""
